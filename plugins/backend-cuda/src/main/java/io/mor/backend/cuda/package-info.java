/** The backend for NVIDIA GPUs. */
package io.mor.backend.cuda;
