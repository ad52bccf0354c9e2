/** What a config can say. */
package io.mor.runtime.config;
