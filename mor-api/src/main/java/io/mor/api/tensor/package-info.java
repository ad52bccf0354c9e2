/** Tensors, differentiable operations and the state that extensions declare. */
package io.mor.api.tensor;
