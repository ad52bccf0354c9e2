/** Trees of config values with their places, and the way between them, records and YAML. Not exported. */
package io.mor.runtime.binding;
