package io.mor.runtime.binding;

import io.mor.runtime.MorException;
import java.lang.reflect.Constructor;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.RecordComponent;
import java.util.Arrays;

/** Reading and making records by reflection, with messages that tell a plugin author what the record lacks. */
final class RecordAccess {

    private RecordAccess() {}

    static Object value(Record record, RecordComponent component) {
        try {
            return component.getAccessor().invoke(record);
        } catch (IllegalAccessException e) {
            throw inaccessible(record.getClass(), e);
        } catch (InvocationTargetException e) {
            throw new MorException(
                    "config record " + record.getClass().getName() + ": " + component.getName() + "() failed: "
                            + e.getCause(),
                    e.getCause());
        }
    }

    /**
     * A new record.
     *
     * @throws InvocationTargetException if its constructor refuses the values
     */
    static <T extends Record> T create(Class<T> type, Object[] values) throws InvocationTargetException {
        Class<?>[] types = Arrays.stream(type.getRecordComponents())
                .map(RecordComponent::getType)
                .toArray(Class<?>[]::new);
        try {
            Constructor<T> constructor = type.getDeclaredConstructor(types);
            return constructor.newInstance(values);
        } catch (IllegalAccessException e) {
            throw inaccessible(type, e);
        } catch (NoSuchMethodException | InstantiationException e) {
            throw new MorException("config record " + type.getName() + " has no canonical constructor", e);
        }
    }

    private static MorException inaccessible(Class<?> type, IllegalAccessException cause) {
        return new MorException(
                "config record " + type.getName()
                        + " cannot be reached; make it public, with a public constructor, in a package that its module exports",
                cause);
    }
}
