package io.mor.backend.cuda;

import java.util.Arrays;

/** Work that the host hands to the GPU in the order of its stream. */
sealed interface Launch {

    /** Whether it is the same work as another, up to what can be changed in a graph that was made of the other. */
    boolean fitsInto(Launch other);

    /**
     * A kernel of this backend.
     *
     * @param name of the kernel, for messages
     * @param function the driver's handle
     * @param grid blocks in x, y and z, threads of a block in x and y, bytes of shared memory
     * @param arguments one 8-byte slot each, little-endian
     */
    record Kernel(String name, long function, int[] grid, long[] arguments) implements Launch {

        @Override
        public boolean fitsInto(Launch other) {
            return other instanceof Kernel kernel
                    && function == kernel.function
                    && arguments.length == kernel.arguments.length
                    && Arrays.equals(grid, kernel.grid);
        }

        @Override
        public boolean equals(Object other) {
            return other instanceof Kernel kernel && fitsInto(kernel) && Arrays.equals(arguments, kernel.arguments);
        }

        @Override
        public int hashCode() {
            return Long.hashCode(function) ^ Arrays.hashCode(arguments);
        }

        @Override
        public String toString() {
            return name + " on a grid of " + grid[0] + " x " + grid[1] + " x " + grid[2] + " blocks of "
                    + grid[3] * grid[4] + " threads";
        }
    }

    /**
     * A call of a library, whose kernels and their arguments are its own affair.
     *
     * @param call what decides everything that the library does: addresses, sizes, algorithm
     * @param start makes the call
     */
    record Library(Object call, Runnable start) implements Launch {

        @Override
        public boolean fitsInto(Launch other) {
            return equals(other);
        }

        @Override
        public boolean equals(Object other) {
            return other instanceof Library library && call.equals(library.call);
        }

        @Override
        public int hashCode() {
            return call.hashCode();
        }

        @Override
        public String toString() {
            return call.toString();
        }
    }
}
