package io.mor.backend.reference;

import static org.junit.jupiter.api.Assertions.assertThrows;

import io.mor.api.backend.Backend;
import io.mor.testkit.AssertingBackend;
import io.mor.testkit.BackendContract;
import io.mor.testkit.HostBlindBackend;
import org.junit.jupiter.api.Test;

/** The contract through both wrappers: they change nothing, and the contract itself keeps the rules that they check. */
final class WrappedReferenceBackendTest extends BackendContract {

    @Override
    protected Backend createBackend() {
        return new HostBlindBackend(AssertingBackend.allowingLeaks(new ReferenceBackend()));
    }

    @Test
    void theWrapperRefusesWhatItDidNotAllocate() {
        assertThrows(
                AssertionError.class,
                () -> backend().release(bench().reference().allocate(1, 1)));
    }
}
