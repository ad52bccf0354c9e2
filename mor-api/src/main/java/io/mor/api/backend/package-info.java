/** Memory and kernels of a device. */
package io.mor.api.backend;
