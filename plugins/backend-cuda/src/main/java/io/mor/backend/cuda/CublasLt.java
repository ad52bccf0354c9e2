package io.mor.backend.cuda;

import java.lang.foreign.AddressLayout;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Matrix products of cuBLASLt, from whichever library is there; JCuda has no binding of it. Single precision with full multiplications, or bfloat16
 * with sums in single precision. For each shape the library's first choice is taken and kept; schemes that add in an order of chance are excluded.
 *
 * <p>Row-major products are column-major products of the transposes: {@code out^T = op(b)^T op(a)^T}.
 */
final class CublasLt implements AutoCloseable {

    /** Device memory that the caller sets aside for products. */
    static final long WORKSPACE = 64L << 20;

    private static final int FLOAT32 = 0; // CUDA_R_32F
    private static final int BFLOAT16 = 14; // CUDA_R_16BF
    private static final int COMPUTE_FLOAT32 = 68; // CUBLAS_COMPUTE_32F: no TF32
    private static final int DESCRIPTOR_TRANSPOSE_A = 3;
    private static final int DESCRIPTOR_TRANSPOSE_B = 4;
    private static final int PREFERENCE_WORKSPACE = 1;
    private static final int PREFERENCE_REDUCTIONS = 3;
    private static final int PREFERENCE_ALIGNMENT = 5; // of A; B, C and D follow
    private static final int ORDERED_REDUCTIONS =
            2 | 4; // through the workspace; 1, in place, adds in an order of chance
    private static final int NOT_SUPPORTED = 15; // CUBLAS_STATUS_NOT_SUPPORTED
    private static final int CANDIDATES = 8; // algorithms that are measured
    private static final double WORTH = 0.985; // of the first's time, from which another is taken
    private static final double MEASURED_FROM = 1e9; // operations: smaller products are not measured
    private static final int ALGORITHM = 64;
    private static final int HEURISTIC_RESULT = 96;

    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT;
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG;
    private static final AddressLayout POINTER = ValueLayout.ADDRESS;

    /**
     * A factor of a product.
     *
     * @param address of its first element
     * @param transposed whether its rows are what is summed over, respectively the columns of the second factor
     * @param pitch elements from one row in memory to the next; 0 if they follow without a gap
     */
    record Factor(long address, boolean transposed, int pitch) {

        /** Rows without gaps. */
        Factor(long address, boolean transposed) {
            this(address, transposed, 0);
        }
    }

    /**
     * What is multiplied: {@code out [m, n] (+)= op(a) @ op(b)}.
     *
     * @param inner elements of each sum
     * @param narrowFactors whether both factors are in bfloat16, else in 32 bit
     * @param narrowOut whether the result is
     */
    record Sizes(int m, int n, int inner, boolean narrowFactors, boolean narrowOut) {

        /** Two a multiply-add. */
        double operations() {
            return 2.0 * m * n * inner;
        }

        /** Of factors and result, each counted once, and of what the product is added to. */
        double bytes(boolean added) {
            double factors = (double) inner * ((long) m + n) * (narrowFactors ? 2 : 4);
            return factors + (double) m * n * (narrowOut ? 2 : 4) * (added ? 2 : 1);
        }
    }

    /**
     * What decides the algorithm.
     *
     * @param alignment of the addresses, 2 to 256
     */
    private record Shape(Sizes sizes, boolean transposeA, int pitchA, boolean transposeB, int pitchB, int alignment) {

        /** Without spaces. */
        String name() {
            return sizes.m + "x" + sizes.n + "x" + sizes.inner + (sizes.narrowOut ? "-bf16" : "-f32")
                    + (transposeA ? "-a" : "") + (pitchA == 0 ? "" : pitchA) + (transposeB ? "-b" : "")
                    + (pitchB == 0 ? "" : pitchB) + "-" + alignment;
        }
    }

    /** Descriptors and algorithm of one shape, in native memory. */
    private record Plan(
            MemorySegment product,
            MemorySegment left,
            MemorySegment right,
            MemorySegment out,
            List<MemorySegment> algorithms) {

        Plan with(MemorySegment algorithm) {
            return new Plan(product, left, right, out, List.of(algorithm));
        }
    }

    private final Path library;
    private final Arena arena = Arena.ofShared();
    private final SymbolLookup symbols;
    private final MethodHandle matmul;
    private final MemorySegment handle;
    private final MemorySegment one = arena.allocate(ValueLayout.JAVA_FLOAT);
    private final MemorySegment beta = arena.allocate(ValueLayout.JAVA_FLOAT);
    private final Map<Shape, Optional<Plan>> plans = new HashMap<>();
    private Optional<Measuring> measuring = Optional.empty();

    /** Times products on the device. */
    interface Clock {
        /**
         * Seconds that a product takes on the device.
         *
         * @param bytes of its result, for which memory is lent
         * @param product is given the lent memory, a workspace and the stream
         */
        double seconds(long bytes, Trial product);
    }

    /** A product that is timed. */
    @FunctionalInterface
    interface Trial {
        /** Starts it. */
        void start(long out, long workspace, long stream);
    }

    private record Measuring(ProductChoices choices, Clock clock) {}

    /** From now on the fastest of the library's candidates is taken for large products in bfloat16, as measured here or before. */
    void measure(ProductChoices choices, Clock clock) {
        measuring = Optional.of(new Measuring(choices, clock));
    }

    /** The library's version. */
    long version() {
        try {
            return (long) function(LONG, "cublasLtGetVersion").invokeExact();
        } catch (Throwable e) {
            throw unchecked(e);
        }
    }

    /**
     * Loads a library; the device's context must be current.
     *
     * @throws CudaUnavailableException if it cannot be loaded
     */
    CublasLt(Path library) {
        this.library = library;
        try {
            this.symbols = SymbolLookup.libraryLookup(library, arena);
        } catch (IllegalArgumentException e) {
            arena.close();
            throw new CudaUnavailableException(
                    "cuBLASLt " + library + " cannot be loaded; reinstall it, or set backend.mode: invariant", e);
        }
        this.matmul = function(
                "cublasLtMatmul",
                POINTER,
                POINTER,
                POINTER,
                POINTER,
                POINTER,
                POINTER,
                POINTER,
                POINTER,
                POINTER,
                POINTER,
                POINTER,
                POINTER,
                POINTER,
                POINTER,
                LONG,
                POINTER);
        one.set(ValueLayout.JAVA_FLOAT, 0, 1f);
        try {
            MemorySegment created = arena.allocate(POINTER);
            check((int) function("cublasLtCreate", POINTER).invokeExact(created), "starting");
            this.handle = created.get(POINTER, 0);
        } catch (Throwable e) {
            throw unchecked(e);
        }
    }

    private MethodHandle function(String name, MemoryLayout... arguments) {
        return function(INT, name, arguments);
    }

    private MethodHandle function(MemoryLayout result, String name, MemoryLayout... arguments) {
        MemorySegment symbol = symbols.find(name)
                .orElseThrow(() ->
                        new CudaUnavailableException(library + " has no function " + name + "; install CUDA 12 or 13"));
        return Linker.nativeLinker().downcallHandle(symbol, FunctionDescriptor.of(result, arguments));
    }

    /**
     * {@code out = base + op(a) @ op(b)}, all row-major.
     *
     * @param base what the product is added to, stored as out; may be out; 0 for nothing
     * @param workspace {@link #WORKSPACE} bytes on the device
     * @param stream the stream's handle
     * @throws IllegalStateException if the library cannot, see {@link #canMultiply}
     */
    void multiply(Sizes sizes, long out, long base, Factor a, Factor b, long workspace, long stream) {
        Plan plan = planned(sizes, out, base, a, b)
                .orElseThrow(() -> new IllegalStateException("cuBLASLt has no algorithm for " + sizes));
        start(plan, plan.algorithms.getFirst(), out, base, a, b, workspace, stream);
    }

    private void start(
            Plan plan, MemorySegment algorithm, long out, long base, Factor a, Factor b, long workspace, long stream) {
        beta.set(ValueLayout.JAVA_FLOAT, 0, base == 0 ? 0f : 1f);
        try {
            check(
                    (int) matmul.invokeExact(
                            handle,
                            plan.product,
                            one,
                            MemorySegment.ofAddress(b.address),
                            plan.left,
                            MemorySegment.ofAddress(a.address),
                            plan.right,
                            beta,
                            MemorySegment.ofAddress(base == 0 ? out : base),
                            plan.out,
                            MemorySegment.ofAddress(out),
                            plan.out,
                            algorithm,
                            MemorySegment.ofAddress(workspace),
                            WORKSPACE,
                            MemorySegment.ofAddress(stream)),
                    "multiplying");
        } catch (Throwable e) {
            throw unchecked(e);
        }
    }

    /** Whether the library has an algorithm; it is chosen here if it was not before. */
    boolean canMultiply(Sizes sizes, long out, long base, Factor a, Factor b) {
        return planned(sizes, out, base, a, b).isPresent();
    }

    private Optional<Plan> planned(Sizes sizes, long out, long base, Factor a, Factor b) {
        int alignment = (int) Math.min(256, Long.lowestOneBit(out | base | a.address | b.address | 256));
        Shape shape = new Shape(sizes, a.transposed, a.pitch, b.transposed, b.pitch, alignment);
        Optional<Plan> planned = plans.get(shape);
        if (planned == null) {
            planned = plan(shape)
                    .map(plan -> measuring.isPresent() && isMeasured(sizes) ? fastest(shape, plan, a, b) : plan);
            plans.put(shape, planned);
        }
        return planned;
    }

    private static boolean isMeasured(Sizes sizes) {
        return sizes.narrowFactors && sizes.operations() >= MEASURED_FROM;
    }

    /** The plan with the algorithm that is kept for it, else with the one that is the fastest now, which is then kept. */
    private Plan fastest(Shape shape, Plan plan, Factor a, Factor b) {
        ProductChoices choices = measuring.get().choices;
        Optional<byte[]> kept = choices.get(shape.name());
        if (kept.isPresent() && kept.get().length == ALGORITHM) {
            MemorySegment algorithm = arena.allocate(ALGORITHM, 8);
            algorithm.copyFrom(MemorySegment.ofArray(kept.get()));
            return plan.with(algorithm);
        }
        if (!choices.isWritable()) {
            return plan;
        }
        long bytes = (long) shape.sizes.m * shape.sizes.n * (shape.sizes.narrowOut ? 2 : 4);
        MemorySegment first = plan.algorithms.getFirst();
        MemorySegment best = first;
        double least = 0;
        for (MemorySegment candidate : plan.algorithms) {
            double seconds = measuring
                    .get()
                    .clock
                    .seconds(
                            bytes, (out, workspace, stream) -> start(plan, candidate, out, 0, a, b, workspace, stream));
            if (candidate == first) {
                least = WORTH * seconds;
            } else if (seconds < least) {
                least = seconds;
                best = candidate;
            }
        }
        choices.put(shape.name(), best.toArray(ValueLayout.JAVA_BYTE));
        return plan.with(best);
    }

    private Optional<Plan> plan(Shape shape) {
        Sizes sizes = shape.sizes;
        int factors = sizes.narrowFactors ? BFLOAT16 : FLOAT32;
        try (Arena call = Arena.ofConfined()) {
            MemorySegment created = call.allocate(POINTER);
            check(
                    (int) function("cublasLtMatmulDescCreate", POINTER, INT, INT)
                            .invokeExact(created, COMPUTE_FLOAT32, FLOAT32),
                    "describing a product");
            MemorySegment product = created.get(POINTER, 0);
            describe(call, product, DESCRIPTOR_TRANSPOSE_A, shape.transposeB);
            describe(call, product, DESCRIPTOR_TRANSPOSE_B, shape.transposeA);
            MemorySegment left = shape.transposeB
                    ? layout(call, factors, sizes.inner, sizes.n, shape.pitchB)
                    : layout(call, factors, sizes.n, sizes.inner, shape.pitchB);
            MemorySegment right = shape.transposeA
                    ? layout(call, factors, sizes.m, sizes.inner, shape.pitchA)
                    : layout(call, factors, sizes.inner, sizes.m, shape.pitchA);
            MemorySegment out = layout(call, sizes.narrowOut ? BFLOAT16 : FLOAT32, sizes.n, sizes.m, 0);
            return choose(call, shape, product, left, right, out)
                    .map(algorithms -> new Plan(product, left, right, out, algorithms));
        } catch (Throwable e) {
            throw unchecked(e);
        }
    }

    private void describe(Arena call, MemorySegment product, int attribute, boolean transpose) throws Throwable {
        MemorySegment value = call.allocate(INT);
        value.set(INT, 0, transpose ? 1 : 0);
        check(
                (int) function("cublasLtMatmulDescSetAttribute", POINTER, INT, POINTER, LONG)
                        .invokeExact(product, attribute, value, 4L),
                "describing a product");
    }

    private MemorySegment layout(Arena call, int type, int rows, int columns, int pitch) throws Throwable {
        MemorySegment created = call.allocate(POINTER);
        check(
                (int) function("cublasLtMatrixLayoutCreate", POINTER, INT, LONG, LONG, LONG)
                        .invokeExact(created, type, (long) rows, (long) columns, (long) (pitch == 0 ? rows : pitch)),
                "describing a matrix");
        return created.get(POINTER, 0);
    }

    private Optional<List<MemorySegment>> choose(
            Arena call, Shape shape, MemorySegment product, MemorySegment left, MemorySegment right, MemorySegment out)
            throws Throwable {
        MemorySegment created = call.allocate(POINTER);
        check((int) function("cublasLtMatmulPreferenceCreate", POINTER).invokeExact(created), "stating preferences");
        MemorySegment preference = created.get(POINTER, 0);
        try {
            MethodHandle set = function("cublasLtMatmulPreferenceSetAttribute", POINTER, INT, POINTER, LONG);
            MemorySegment bytes = call.allocate(LONG);
            bytes.set(LONG, 0, WORKSPACE);
            check((int) set.invokeExact(preference, PREFERENCE_WORKSPACE, bytes, 8L), "stating the workspace");
            MemorySegment number = call.allocate(INT);
            number.set(INT, 0, ORDERED_REDUCTIONS);
            check((int) set.invokeExact(preference, PREFERENCE_REDUCTIONS, number, 4L), "stating the reductions");
            number.set(INT, 0, shape.alignment);
            for (int operand = 0; operand < 4; operand++) {
                check(
                        (int) set.invokeExact(preference, PREFERENCE_ALIGNMENT + operand, number, 4L),
                        "stating the alignment");
            }
            int wanted = measuring.isPresent() && isMeasured(shape.sizes) ? CANDIDATES : 1;
            MemorySegment results = call.allocate((long) HEURISTIC_RESULT * wanted, 8);
            MemorySegment found = call.allocate(INT);
            int status = (int) function(
                            "cublasLtMatmulAlgoGetHeuristic",
                            POINTER,
                            POINTER,
                            POINTER,
                            POINTER,
                            POINTER,
                            POINTER,
                            POINTER,
                            INT,
                            POINTER,
                            POINTER)
                    .invokeExact(handle, product, left, right, out, out, preference, wanted, results, found);
            if (status != NOT_SUPPORTED) {
                check(status, "choosing an algorithm for " + shape);
            }
            if (found.get(INT, 0) < 1) {
                return Optional.empty();
            }
            List<MemorySegment> algorithms = new ArrayList<>();
            for (int i = 0; i < found.get(INT, 0); i++) {
                MemorySegment algorithm = arena.allocate(ALGORITHM, 8);
                algorithm.copyFrom(results.asSlice((long) HEURISTIC_RESULT * i, ALGORITHM));
                algorithms.add(algorithm);
            }
            return Optional.of(List.copyOf(algorithms));
        } finally {
            check(
                    (int) function("cublasLtMatmulPreferenceDestroy", POINTER).invokeExact(preference),
                    "closing preferences");
        }
    }

    private void check(int status, String doing) {
        if (status != 0) {
            throw new IllegalStateException(doing + " failed in " + library + ": cuBLAS status " + status);
        }
    }

    private static RuntimeException unchecked(Throwable e) {
        if (e instanceof RuntimeException exception) {
            return exception;
        }
        if (e instanceof Error error) {
            throw error;
        }
        return new IllegalStateException(e);
    }

    @Override
    public void close() {
        try {
            for (Plan plan : plans.values().stream().flatMap(Optional::stream).toList()) {
                MethodHandle destroyLayout = function("cublasLtMatrixLayoutDestroy", POINTER);
                int ignored = (int) destroyLayout.invokeExact(plan.left);
                ignored = (int) destroyLayout.invokeExact(plan.right);
                ignored = (int) destroyLayout.invokeExact(plan.out);
                ignored = (int) function("cublasLtMatmulDescDestroy", POINTER).invokeExact(plan.product);
            }
            int ignored = (int) function("cublasLtDestroy", POINTER).invokeExact(handle);
        } catch (Throwable e) {
            throw unchecked(e);
        } finally {
            arena.close();
        }
    }
}
