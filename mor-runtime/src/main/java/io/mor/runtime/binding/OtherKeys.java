package io.mor.runtime.binding;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/**
 * This {@code Map<String, Object>} takes every key that no other component of the record has. In place of such a record a config may say
 * just a text, which then is its {@code type}.
 */
@Target(ElementType.RECORD_COMPONENT)
@Retention(RetentionPolicy.RUNTIME)
public @interface OtherKeys {}
