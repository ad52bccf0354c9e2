package io.mor.backend.reference;

/** Whether an allocation may still be used; shared by the tensor that owns the memory and all its views. */
final class Lifetime {

    private final Memory memory;
    private final String name;
    private boolean released;

    /**
     * @param name what was allocated, for messages: {@code tensor [3, 5]}
     */
    Lifetime(Memory memory, String name) {
        this.memory = memory;
        this.name = name;
    }

    /** Fails if the memory belongs to another backend or was given back. */
    void check(Memory user) {
        if (memory != user) {
            throw new IllegalArgumentException(
                    name + " belongs to another instance of the reference backend; copy its values over");
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
