package io.mor.backend.cuda;

import java.io.IOException;
import java.lang.foreign.AddressLayout;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * CUDA's run-time compiler, from whichever library is there. JCuda's own binding wants that of CUDA 12 by name.
 *
 * <p>Thread safety: none needed; calls are independent.
 */
final class Nvrtc implements AutoCloseable {

    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT;
    private static final AddressLayout POINTER = ValueLayout.ADDRESS;

    private final Path library;
    private final Arena arena = Arena.ofShared();
    private final SymbolLookup symbols;

    /**
     * Loads a library.
     *
     * @throws CudaUnavailableException if it cannot be loaded
     */
    Nvrtc(Path library) {
        this.library = library;
        try {
            // the compiler opens this by name alone, which succeeds outside the loader's path only if the process has
            // it already
            for (Path builtins : builtins(library)) {
                SymbolLookup.libraryLookup(builtins, arena);
            }
            this.symbols = SymbolLookup.libraryLookup(library, arena);
        } catch (IllegalArgumentException e) {
            arena.close();
            throw new CudaUnavailableException("CUDA's compiler " + library + " cannot be loaded; reinstall it", e);
        }
    }

    private static List<Path> builtins(Path library) {
        try (DirectoryStream<Path> found =
                Files.newDirectoryStream(library.toAbsolutePath().getParent(), "libnvrtc-builtins.so.*")) {
            List<Path> builtins = new ArrayList<>();
            found.forEach(builtins::add);
            return builtins;
        } catch (IOException unreadable) {
            return List.of(); // the compiler itself says what it misses
        }
    }

    private MethodHandle function(String name, MemoryLayout... arguments) {
        MemorySegment symbol = symbols.find(name)
                .orElseThrow(() ->
                        new CudaUnavailableException(library + " has no function " + name + "; install CUDA 12 or 13"));
        return Linker.nativeLinker().downcallHandle(symbol, FunctionDescriptor.of(INT, arguments));
    }

    /** The library's version, for example {@code 13.0}. */
    String version() {
        try (Arena call = Arena.ofConfined()) {
            MemorySegment major = call.allocate(INT);
            MemorySegment minor = call.allocate(INT);
            check((int) function("nvrtcVersion", POINTER, POINTER).invokeExact(major, minor), "asking the version");
            return major.get(INT, 0) + "." + minor.get(INT, 0);
        } catch (Throwable e) {
            throw unchecked(e);
        }
    }

    /**
     * Compiles one source to machine code.
     *
     * @param name what the source is called in messages
     * @param headers what it may include, by name
     * @param options as of {@code nvrtcCompileProgram}
     * @throws IllegalArgumentException if it does not compile, with the compiler's log
     */
    byte[] compile(String name, String source, List<KernelSource.Header> headers, List<String> options) {
        try (Arena call = Arena.ofConfined()) {
            MemorySegment texts = strings(
                    call, headers.stream().map(KernelSource.Header::text).toList());
            MemorySegment names = strings(
                    call, headers.stream().map(KernelSource.Header::name).toList());
            MemorySegment handle = call.allocate(POINTER);
            check(
                    (int) function("nvrtcCreateProgram", POINTER, POINTER, POINTER, INT, POINTER, POINTER)
                            .invokeExact(
                                    handle,
                                    call.allocateFrom(source),
                                    call.allocateFrom(name),
                                    headers.size(),
                                    texts,
                                    names),
                    "reading " + name);
            MemorySegment program = handle.get(POINTER, 0);
            try {
                int result = (int) function("nvrtcCompileProgram", POINTER, INT, POINTER)
                        .invokeExact(program, options.size(), strings(call, options));
                if (result != 0) {
                    throw new IllegalArgumentException(name + " does not compile with " + library + " and " + options
                            + ":\n" + log(call, program));
                }
                return bytes(call, program, "nvrtcGetCUBINSize", "nvrtcGetCUBIN", name);
            } finally {
                check((int) function("nvrtcDestroyProgram", POINTER).invokeExact(handle), "closing " + name);
            }
        } catch (Throwable e) {
            throw unchecked(e);
        }
    }

    private String log(Arena call, MemorySegment program) {
        byte[] text = bytes(call, program, "nvrtcGetProgramLogSize", "nvrtcGetProgramLog", "the log");
        return new String(text, 0, Math.max(0, text.length - 1), StandardCharsets.UTF_8);
    }

    private byte[] bytes(Arena call, MemorySegment program, String sizeFunction, String function, String what) {
        try {
            MemorySegment size = call.allocate(ValueLayout.JAVA_LONG);
            check((int) function(sizeFunction, POINTER, POINTER).invokeExact(program, size), "measuring " + what);
            MemorySegment bytes = call.allocate(Math.max(1, size.get(ValueLayout.JAVA_LONG, 0)));
            check((int) function(function, POINTER, POINTER).invokeExact(program, bytes), "reading " + what);
            return bytes.asSlice(0, size.get(ValueLayout.JAVA_LONG, 0)).toArray(ValueLayout.JAVA_BYTE);
        } catch (Throwable e) {
            throw unchecked(e);
        }
    }

    private static MemorySegment strings(Arena call, List<String> values) {
        MemorySegment array = call.allocate(POINTER, Math.max(1, values.size()));
        for (int i = 0; i < values.size(); i++) {
            array.setAtIndex(POINTER, i, call.allocateFrom(values.get(i)));
        }
        return array;
    }

    private void check(int result, String doing) {
        if (result != 0) {
            throw new IllegalStateException(doing + " failed in " + library + ": NVRTC error " + result);
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
        arena.close();
    }
}
