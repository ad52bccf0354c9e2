package io.mor.study.run;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/**
 * How a trial's process is started: a program that calls {@link TrialRunner#run} on a folder, prints an {@link EventWriter}'s lines and ends with 0
 * when the trial is done, and that stops, saved, when its standard input ends.
 */
@FunctionalInterface
public interface TrialLauncher {

    /**
     * The command of one process.
     *
     * @param folder the trial's folder
     * @param processors how many processors it may use
     */
    Command command(Path folder, int processors);

    /**
     * A command.
     *
     * @param line program and arguments
     * @param environment variables set over this process's own
     */
    record Command(List<String> line, Map<String, String> environment) {

        /** Copies both. */
        public Command {
            line = List.copyOf(line);
            environment = Map.copyOf(environment);
        }
    }
}
