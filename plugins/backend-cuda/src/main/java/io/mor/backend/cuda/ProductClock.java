package io.mor.backend.cuda;

import java.util.Arrays;
import jcuda.driver.CUevent;
import jcuda.driver.JCudaDriver;

/** Times products on the device, between other work, with a result and a workspace of their own. */
final class ProductClock implements CublasLt.Clock {

    private static final int SAMPLES = 5;

    private final CudaContext context;

    ProductClock(CudaContext context) {
        this.context = context;
    }

    @Override
    public double seconds(long bytes, CublasLt.Trial product) {
        context.queue.flush();
        Device device = context.device;
        device.makeCurrent();
        DeviceMemory.Block out = context.memory.allocate(bytes, "result of a product that is timed");
        DeviceMemory.Block workspace =
                context.memory.allocate(CublasLt.WORKSPACE, "workspace of a product that is timed");
        CUevent begin = new CUevent();
        CUevent end = new CUevent();
        Device.check(JCudaDriver.cuEventCreate(begin, 0), "creating an event");
        Device.check(JCudaDriver.cuEventCreate(end, 0), "creating an event");
        try {
            product.start(out.address(), workspace.address(), device.streamHandle());
            float[] milliseconds = new float[1];
            double[] samples = new double[SAMPLES];
            for (int i = 0; i < SAMPLES; i++) {
                Device.check(JCudaDriver.cuEventRecord(begin, device.stream()), "recording an event");
                product.start(out.address(), workspace.address(), device.streamHandle());
                product.start(out.address(), workspace.address(), device.streamHandle());
                Device.check(JCudaDriver.cuEventRecord(end, device.stream()), "recording an event");
                device.synchronize();
                Device.check(JCudaDriver.cuEventElapsedTime(milliseconds, begin, end), "reading a product's time");
                samples[i] = milliseconds[0] * 1e-3 / 2;
            }
            Arrays.sort(samples);
            return samples[SAMPLES / 2];
        } finally {
            JCudaDriver.cuEventDestroy(begin);
            JCudaDriver.cuEventDestroy(end);
            context.memory.release(out);
            context.memory.release(workspace);
        }
    }
}
