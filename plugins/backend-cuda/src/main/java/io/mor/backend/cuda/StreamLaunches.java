package io.mor.backend.cuda;

import java.util.List;
import jcuda.driver.CUgraph;
import jcuda.driver.CUgraphExec;
import jcuda.driver.CUstreamCaptureMode;
import jcuda.driver.JCudaDriver;

/** Launches on a device's stream, and graphs captured of them. */
final class StreamLaunches implements LaunchQueue.Target {

    private final Device device;
    private final DriverCalls driver;
    private Runnable whenStarted = () -> {};

    StreamLaunches(Device device, DriverCalls driver) {
        this.device = device;
        this.driver = driver;
    }

    /** Who is told that all that was kept back has been started. */
    void whenStarted(Runnable listener) {
        whenStarted = listener;
    }

    @Override
    public void start(Launch launch) {
        switch (launch) {
            case Launch.Kernel kernel -> driver.launch(kernel, device.streamHandle());
            case Launch.Library library -> library.start().run();
        }
    }

    @Override
    public void started() {
        whenStarted.run();
    }

    /** An executable graph that tells its handle. */
    private static final class Executable extends CUgraphExec {
        long handle() {
            return getNativePointer();
        }
    }

    @Override
    public LaunchQueue.Graph capture(List<Launch> launches) {
        device.makeCurrent();
        CUgraph graph = new CUgraph();
        long[] nodes = new long[launches.size()];
        // relaxed: a library may load a kernel on its first call with a shape
        Device.check(
                JCudaDriver.cuStreamBeginCapture(device.stream(), CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_RELAXED),
                "beginning to capture");
        RuntimeException failure = null;
        try {
            for (int i = 0; i < nodes.length; i++) {
                start(launches.get(i));
                nodes[i] = launches.get(i) instanceof Launch.Kernel ? driver.lastNode(device.streamHandle()) : 0;
            }
        } catch (RuntimeException e) {
            failure = e;
        }
        int ended = JCudaDriver.cuStreamEndCapture(device.stream(), graph);
        if (failure != null) {
            if (ended == 0) {
                JCudaDriver.cuGraphDestroy(graph);
            }
            throw failure;
        }
        Device.check(ended, "ending the capture");
        Executable executable = new Executable();
        int made = JCudaDriver.cuGraphInstantiate(executable, graph, 0);
        if (made != 0) {
            JCudaDriver.cuGraphDestroy(graph);
            Device.check(made, "making a graph of " + launches.size() + " launches");
        }
        return new Captured(graph, executable, nodes);
    }

    /** A graph of one stream: a chain. */
    private final class Captured implements LaunchQueue.Graph {
        private final CUgraph graph;
        private final Executable executable;
        private final long[] nodes;

        Captured(CUgraph graph, Executable executable, long[] nodes) {
            this.graph = graph;
            this.executable = executable;
            this.nodes = nodes;
        }

        @Override
        public void replace(int index, Launch.Kernel launch) {
            driver.setArguments(executable.handle(), nodes[index], launch);
        }

        @Override
        public void start() {
            Device.check(JCudaDriver.cuGraphLaunch(executable, device.stream()), "starting a graph");
        }

        @Override
        public void close() {
            JCudaDriver.cuGraphExecDestroy(executable);
            JCudaDriver.cuGraphDestroy(graph);
        }
    }
}
