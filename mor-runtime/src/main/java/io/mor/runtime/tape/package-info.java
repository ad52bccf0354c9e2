/** Differentiable operations over a backend. */
package io.mor.runtime.tape;
