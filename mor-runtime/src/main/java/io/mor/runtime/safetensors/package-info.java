/** Reading and writing safetensors files: named tensors behind a JSON header, what weights and golden cases are kept in. */
package io.mor.runtime.safetensors;
