package io.mor.api.plugin;

import java.lang.annotation.Documented;
import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/**
 * The value of a config key that is not given, written as in YAML (for example {@code 0.1}, {@code sigmoid}, {@code [1, 2]}). A key without it and without a nested record is required.
 *
 * @since 0.1
 */
@Documented
@Target({ElementType.RECORD_COMPONENT, ElementType.TYPE})
@Retention(RetentionPolicy.RUNTIME)
@Stability(status = Stability.Status.EXPERIMENTAL, since = "0.1")
public @interface DefaultValue {

    /** The value, as YAML. */
    String value();
}
