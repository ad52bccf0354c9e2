package io.mor.runtime.data;

import java.util.ArrayList;
import java.util.List;

/** Keeps what it hears. */
final class RecordingListener implements DataListener {

    final List<String> warnings = new ArrayList<>();
    final List<Progress> progress = new ArrayList<>();

    @Override
    public void warning(String message) {
        warnings.add(message);
    }

    @Override
    public void tokenizing(Progress step) {
        progress.add(step);
    }
}
