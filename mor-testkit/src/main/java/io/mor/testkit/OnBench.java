package io.mor.testkit;

import io.mor.api.backend.Backend;

/** Tests that use the backend under test. */
public interface OnBench {

    /** The backends of the running test. */
    KernelBench bench();

    /** The backend under test. */
    default Backend backend() {
        return bench().subject();
    }
}
