package io.mor.backend.cuda;

/** Whether an allocation may still be used; shared by the tensor that owns the memory and all its views. */
final class Lifetime {

    final DeviceMemory.Block block;
    private final CudaContext owner;
    private final String name;
    private boolean released;

    /**
     * @param name what was allocated, for messages: {@code tensor [3, 5]}
     */
    Lifetime(CudaContext owner, DeviceMemory.Block block, String name) {
        this.owner = owner;
        this.block = block;
        this.name = name;
    }

    /** Fails if the memory belongs to another backend or was given back. */
    void check(CudaContext user) {
        if (owner != user) {
            throw new IllegalArgumentException(
                    name + " belongs to another instance of the cuda backend; copy its values over");
        }
        if (released) {
            throw new IllegalStateException(
                    name + " was used after it was released; keep it until its last kernel has been called");
        }
    }

    void end() {
        released = true;
    }

    @Override
    public String toString() {
        return name;
    }
}
