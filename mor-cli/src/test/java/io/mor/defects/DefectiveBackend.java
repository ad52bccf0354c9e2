package io.mor.defects;

import io.mor.api.backend.Backend;
import io.mor.backend.reference.ReferenceBackend;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;

/** The reference backend with one of its kernels spoilt. */
final class DefectiveBackend {

    private DefectiveBackend() {}

    /** A call of a backend; whoever gets it decides what becomes of it. */
    record Call(Backend delegate, Method method, Object[] arguments) {

        boolean is(String kernel) {
            return method.getName().equals(kernel);
        }

        @SuppressWarnings("unchecked") // the caller knows the kernel's parameters
        <T> T argument(int index) {
            return (T) arguments[index];
        }

        Object run() throws Throwable {
            try {
                return method.invoke(delegate, arguments);
            } catch (InvocationTargetException e) {
                throw e.getCause();
            }
        }
    }

    /** What stands in for each call. */
    @FunctionalInterface
    interface Defect {
        Object run(Call call) throws Throwable;
    }

    static Backend with(Defect defect) {
        ReferenceBackend reference = new ReferenceBackend();
        return (Backend) Proxy.newProxyInstance(
                Backend.class.getClassLoader(),
                new Class<?>[] {Backend.class},
                (proxy, method, arguments) ->
                        defect.run(new Call(reference, method, arguments == null ? new Object[0] : arguments)));
    }
}
