package io.mor.api.plugin;

import java.lang.annotation.Documented;
import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/**
 * One line that says what a config key does; shown by listings and in the JSON Schema.
 *
 * @since 0.1
 */
@Documented
@Target({ElementType.RECORD_COMPONENT, ElementType.TYPE})
@Retention(RetentionPolicy.RUNTIME)
@Stability(status = Stability.Status.EXPERIMENTAL, since = "0.1")
public @interface Help {

    /** The line. */
    String value();
}
