package io.mor.backend.cuda;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import jcuda.driver.CUevent;
import jcuda.driver.JCudaDriver;

/** Times every launch on the GPU by an event before and one after it. For measurements: launches take longer meanwhile. */
final class LaunchClock implements AutoCloseable {

    private record Launch(String kernel, double bytes, double operations, CUevent begin, CUevent end) {}

    private final Device device;
    private final List<Launch> launches = new ArrayList<>();

    LaunchClock(Device device) {
        this.device = device;
    }

    /** Runs a launch between two events. */
    void time(String kernel, double bytes, double operations, Runnable launch) {
        CUevent begin = record();
        launch.run();
        launches.add(new Launch(kernel, bytes, operations, begin, record()));
    }

    private CUevent record() {
        CUevent event = new CUevent();
        Device.check(JCudaDriver.cuEventCreate(event, 0), "creating an event");
        Device.check(JCudaDriver.cuEventRecord(event, device.stream()), "recording an event");
        return event;
    }

    /** The times so far, by kernel in the order in which each was first launched. Waits for the GPU. */
    List<KernelTime> times() {
        device.synchronize();
        Map<String, KernelTime> byKernel = new LinkedHashMap<>();
        for (Launch launch : launches) {
            float[] milliseconds = new float[1];
            Device.check(
                    JCudaDriver.cuEventElapsedTime(milliseconds, launch.begin, launch.end), "reading a launch's time");
            KernelTime one = new KernelTime(launch.kernel, 1, milliseconds[0] * 1e-3, launch.bytes, launch.operations);
            byKernel.merge(
                    launch.kernel,
                    one,
                    (a, b) -> new KernelTime(
                            a.kernel(),
                            a.calls() + 1,
                            a.seconds() + b.seconds(),
                            a.bytes() + b.bytes(),
                            a.operations() + b.operations()));
        }
        return List.copyOf(byKernel.values());
    }

    @Override
    public void close() {
        for (Launch launch : launches) {
            JCudaDriver.cuEventDestroy(launch.begin);
            JCudaDriver.cuEventDestroy(launch.end);
        }
        launches.clear();
    }
}
