package io.mor.api.plugin;

import java.lang.annotation.Documented;
import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/**
 * The values a numeric config key may have; for a list, each of its elements. Both ends belong to the range unless exclusive.
 *
 * @since 0.1
 */
@Documented
@Target(ElementType.RECORD_COMPONENT)
@Retention(RetentionPolicy.RUNTIME)
@Stability(status = Stability.Status.EXPERIMENTAL, since = "0.1")
public @interface Range {

    /** The smallest value. */
    double min() default Double.NEGATIVE_INFINITY;

    /** The largest value. */
    double max() default Double.POSITIVE_INFINITY;

    /** Whether {@link #min} itself is refused. */
    boolean exclusiveMin() default false;
}
