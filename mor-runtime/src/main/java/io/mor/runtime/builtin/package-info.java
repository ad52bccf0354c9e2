/** The plugin that brings the runtime's own extensions, found like any other. */
package io.mor.runtime.builtin;
