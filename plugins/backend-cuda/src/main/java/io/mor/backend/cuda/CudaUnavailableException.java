package io.mor.backend.cuda;

/** No GPU can be used here; the message is one sentence that says why and what to do. */
public final class CudaUnavailableException extends RuntimeException {

    private static final long serialVersionUID = 1;

    CudaUnavailableException(String message) {
        super(message);
    }

    CudaUnavailableException(String message, Throwable cause) {
        super(message, cause);
    }
}
