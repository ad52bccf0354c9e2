package io.mor.backend.reference;

import io.mor.api.backend.Backend;
import io.mor.testkit.BackendContract;
import java.lang.reflect.InvocationHandler;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;

/** The contract on a backend that has the required primitives and nothing else: every method with a default is the default. */
final class TierOneBackendTest extends BackendContract {

    @Override
    protected Backend createBackend() {
        ReferenceBackend primitives = new ReferenceBackend();
        return (Backend) Proxy.newProxyInstance(
                Backend.class.getClassLoader(), new Class<?>[] {Backend.class}, (proxy, method, arguments) -> {
                    if (method.isDefault()) {
                        return InvocationHandler.invokeDefault(proxy, method, arguments);
                    }
                    try {
                        return method.invoke(primitives, arguments);
                    } catch (InvocationTargetException e) {
                        throw e.getCause();
                    }
                });
    }
}
