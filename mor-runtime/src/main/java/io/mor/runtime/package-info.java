/** Failures as the runtime reports them. */
package io.mor.runtime;
