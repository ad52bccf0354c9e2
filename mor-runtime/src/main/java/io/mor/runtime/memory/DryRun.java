package io.mor.runtime.memory;

import io.mor.api.backend.Backend;
import io.mor.api.backend.HostCopy;
import io.mor.api.backend.Precision;
import io.mor.api.tensor.Extent;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Tensor;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.lang.reflect.RecordComponent;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Work without memory or arithmetic: shapes alone. Its {@link #backend} answers like another one, but its tensors have no values and its kernels
 * do nothing but note which tensors they were given. So the memory that the work will ask for, and how long each piece is in use, is known
 * before it runs. Because nothing within a step may read values on the host, work on shapes asks for the same memory in the same order as
 * work on values.
 *
 * <p>The backend is a {@link Proxy}, so that a kernel that is new to {@link Backend} is known here by its arguments alone. Reading gives zeros.
 *
 * <p>Thread safety: one thread.
 */
public final class DryRun {

    private final Backend real;
    private final Backend backend;
    private final Map<Class<?>, List<Method>> componentsOf = new HashMap<>();
    private final List<ShapeOnly> asked = new ArrayList<>();
    private final List<Integer> askedInts = new ArrayList<>();
    private int kernels;

    /** Work that would run on a backend. */
    public DryRun(Backend real) {
        this.real = real;
        this.backend = (Backend)
                Proxy.newProxyInstance(DryRun.class.getClassLoader(), new Class<?>[] {Backend.class}, this::call);
    }

    /** Stands in for the backend. */
    public Backend backend() {
        return backend;
    }

    /**
     * What a piece of work asks this backend for.
     *
     * @param work allocates and calls kernels of {@link #backend} alone; what was allocated before it may be used and does not count
     */
    public AllocationTrace trace(Runnable work) {
        asked.clear();
        askedInts.clear();
        kernels = 0;
        work.run();
        return new AllocationTrace(asked.stream().map(ShapeOnly::request).toList(), askedInts);
    }

    /** A tensor without values; a view shares its owner's times. */
    private static final class ShapeOnly implements Tensor {
        private final Extent extent;
        private final int columns;
        private final Precision precision;
        private final ShapeOnly owner;
        private final int first;
        private int last;

        private ShapeOnly(int rows, int columns, Precision precision, int first) {
            this.extent = Extent.exact(rows);
            this.columns = columns;
            this.precision = precision;
            this.owner = this;
            this.first = first;
            this.last = first - 1;
        }

        private ShapeOnly(ShapeOnly base, Extent extent, int columns) {
            this.extent = extent;
            this.columns = columns;
            this.precision = base.precision;
            this.owner = base.owner;
            this.first = base.first;
        }

        @Override
        public Extent extent() {
            return extent;
        }

        @Override
        public int columns() {
            return columns;
        }

        private AllocationTrace.Request request() {
            return new AllocationTrace.Request(rows(), columns, precision, first, last);
        }
    }

    private record IntsOnly(int length) implements IntTensor {
        @Override
        public boolean equals(Object other) {
            return this == other; // a handle: identity is object identity
        }

        @Override
        public int hashCode() {
            return System.identityHashCode(this);
        }
    }

    private Object call(Object proxy, Method method, Object[] given) throws Throwable {
        Object[] arguments = given == null ? new Object[0] : given;
        return switch (method.getName()) {
            case "allocate" -> allocate(arguments);
            case "allocateInts" -> allocateInts((int) arguments[0]);
            case "view" -> view(arguments);
            case "release", "close" -> null;
            case "repeated" -> {
                ((Runnable) arguments[1]).run();
                yield null;
            }
            case "equals" -> proxy == arguments[0];
            case "hashCode" -> System.identityHashCode(proxy);
            case "toString" -> "shapes of " + real;
            default -> kernelOrQuestion(method, arguments);
        };
    }

    private Tensor allocate(Object[] arguments) {
        Precision precision = arguments.length > 2 ? (Precision) arguments[2] : real.precision();
        ShapeOnly tensor = new ShapeOnly((int) arguments[0], (int) arguments[1], precision, kernels);
        asked.add(tensor);
        return tensor;
    }

    private IntTensor allocateInts(int length) {
        askedInts.add(length);
        return new IntsOnly(length);
    }

    private static Object view(Object[] arguments) {
        return arguments[0] instanceof ShapeOnly base
                ? new ShapeOnly(base, (Extent) arguments[2], (int) arguments[3])
                : new IntsOnly((int) arguments[2]);
    }

    private Object kernelOrQuestion(Method method, Object[] arguments) throws Throwable {
        boolean onTensors = false;
        for (Object argument : arguments) {
            onTensors |= use(argument);
        }
        if (!onTensors) {
            return ask(method, arguments);
        }
        kernels++;
        if (method.getReturnType() == float[].class) {
            return new float[elements(arguments[0])];
        }
        if (method.getReturnType() == double[].class) {
            return new double[elements(arguments[0])];
        }
        if (method.getReturnType() == HostCopy.class) {
            return HostCopy.of(new double[elements(arguments[0])]);
        }
        return method.getReturnType() == int[].class ? new int[((IntTensor) arguments[0]).length()] : null;
    }

    private static int elements(Object tensor) {
        return Math.multiplyExact(((Tensor) tensor).rows(), ((Tensor) tensor).columns());
    }

    /** What a backend says of itself. */
    private Object ask(Method method, Object[] arguments) throws Throwable {
        try {
            return method.invoke(real, arguments);
        } catch (InvocationTargetException e) {
            throw e.getCause();
        }
    }

    /** Notes that the next kernel uses what there is of tensors in an argument; whether there is anything. */
    private boolean use(Object argument) throws ReflectiveOperationException {
        switch (argument) {
            case ShapeOnly tensor -> {
                tensor.owner.last = kernels;
                return true;
            }
            case IntTensor ignored -> {
                return true;
            }
            case Optional<?> optional -> {
                return optional.isPresent() && use(optional.get());
            }
            case Collection<?> several -> {
                boolean any = false;
                for (Object each : several) {
                    any |= use(each);
                }
                return any;
            }
            case Extent extent -> {
                return extent.count().isPresent();
            }
            case Record record -> {
                boolean any = false;
                for (Method component : components(record.getClass())) {
                    any |= use(component.invoke(record));
                }
                return any;
            }
            case null, default -> {
                return false;
            }
        }
    }

    private List<Method> components(Class<?> type) {
        return componentsOf.computeIfAbsent(type, key -> {
            List<Method> accessors = new ArrayList<>();
            for (RecordComponent component : key.getRecordComponents()) {
                if (!component.getType().isPrimitive()) {
                    accessors.add(component.getAccessor());
                }
            }
            return accessors;
        });
    }
}
