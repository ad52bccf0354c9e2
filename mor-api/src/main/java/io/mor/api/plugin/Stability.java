package io.mor.api.plugin;

import java.lang.annotation.Documented;
import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/**
 * How far a public type may be relied upon across versions. Every public type of the API carries it.
 *
 * @since 0.1
 */
@Documented
@Target(ElementType.TYPE)
@Retention(RetentionPolicy.RUNTIME)
@Stability(status = Stability.Status.EXPERIMENTAL, since = "0.1")
public @interface Stability {

    /** The promise made. */
    Status status();

    /** The version that brought the type. */
    String since();

    /** The promises there are. */
    enum Status {
        /** May change in any version. */
        EXPERIMENTAL,
        /** Changes only with a new major version. */
        STABLE
    }
}
