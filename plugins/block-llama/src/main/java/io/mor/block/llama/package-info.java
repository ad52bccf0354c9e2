/** Pre-norm Llama layers as a recursion block. */
package io.mor.block.llama;
