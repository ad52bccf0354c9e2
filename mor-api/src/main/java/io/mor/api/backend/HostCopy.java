package io.mor.api.backend;

import io.mor.api.plugin.Stability;

/**
 * Values on their way from a device to the host.
 *
 * <p>Thread safety: as the backend that they come from.
 *
 * @since 0.1
 */
@Stability(status = Stability.Status.EXPERIMENTAL, since = "0.1")
public interface HostCopy {

    /** Whether {@link #values} would not wait. */
    boolean hasArrived();

    /** The values as they were when the copy was asked for; waits until they are there. The same whenever it is asked. */
    double[] values();

    /** Values that the host has already. */
    static HostCopy of(double[] values) {
        return new HostCopy() {
            @Override
            public boolean hasArrived() {
                return true;
            }

            @Override
            public double[] values() {
                return values.clone();
            }
        };
    }
}
