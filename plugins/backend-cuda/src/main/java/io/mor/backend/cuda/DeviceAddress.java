package io.mor.backend.cuda;

import jcuda.driver.CUdeviceptr;

/** A pointer of JCuda that tells its address and can be made from one. */
final class DeviceAddress extends CUdeviceptr {

    /** To be filled by an allocation. */
    DeviceAddress() {}

    /** An address inside an allocation. */
    DeviceAddress(long address) {
        super(new CUdeviceptr(), address);
    }

    long address() {
        return getNativePointer() + getByteOffset();
    }
}
