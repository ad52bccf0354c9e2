package io.mor.defects;

import io.mor.api.backend.Backend;
import io.mor.api.tensor.Tensor;
import io.mor.api.tensor.Unary;
import io.mor.backend.reference.ReferenceBackend;
import io.mor.testkit.AssertingBackend;
import io.mor.testkit.BackendContract;
import org.junit.jupiter.api.Test;

/** Backends with one defect each, and users of a right one that break its rules. */
final class BackendDefects {

    private BackendDefects() {}

    static final class Right extends BackendContract {
        @Override
        protected Backend createBackend() {
            return DefectiveBackend.with(DefectiveBackend.Call::run);
        }
    }

    static final class WrongBackward extends BackendContract {
        @Override
        protected Backend createBackend() {
            return DefectiveBackend.with(call -> {
                Object result = call.run();
                if (call.is("unaryBackward") && call.argument(1) == Unary.TANH) {
                    Tensor dx = call.argument(0);
                    call.delegate().affine(dx, dx, 0.99, 0, false);
                }
                return result;
            });
        }
    }

    static final class RowsDependOnTheirNumber extends BackendContract {
        @Override
        protected Backend createBackend() {
            return DefectiveBackend.with(call -> {
                Object result = call.run();
                if (call.is("rowSum") && call.<Tensor>argument(0).rows() > 1) {
                    Tensor out = call.argument(0);
                    call.delegate().affine(out, out, 1 + 0x1p-50, 0, false); // within rounding
                }
                return result;
            });
        }
    }

    static final class MemoryLivesOnAfterItsRelease extends BackendContract {
        @Override
        protected Backend createBackend() {
            return DefectiveBackend.with(call -> call.is("release") ? null : call.run());
        }
    }

    /** What a call under an asserting wrapper may do wrong. */
    static final class Users {

        private final AssertingBackend backend = new AssertingBackend(new ReferenceBackend());

        @Test
        void leaks() {
            backend.release(backend.allocate(1, 2));
            backend.allocate(3, 4);
            backend.close();
        }

        @Test
        void releasesTwice() {
            Tensor tensor = backend.allocate(3, 4);
            backend.release(tensor);
            backend.release(tensor);
        }

        @Test
        void usesAfterRelease() {
            Tensor tensor = backend.allocate(3, 4);
            backend.release(tensor);
            backend.fill(tensor, 1);
        }
    }
}
