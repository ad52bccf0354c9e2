/** Memory by lifetime. */
package io.mor.runtime.memory;
