package io.mor.runtime.safetensors;

import java.io.IOException;
import java.nio.file.Path;

/** A file is not a safetensors file that can be used; the message names the file, what is wrong in it and what to do. */
public final class SafetensorsException extends IOException {

    private static final long serialVersionUID = 1;

    SafetensorsException(Path file, String problem) {
        super(file + ": " + problem);
    }

    SafetensorsException(Path file, String problem, Throwable cause) {
        super(file + ": " + problem, cause);
    }
}
