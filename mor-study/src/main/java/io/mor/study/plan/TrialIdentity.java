package io.mor.study.plan;

import io.mor.runtime.config.ExperimentConfig;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Pattern;

/** What makes a trial the one it is: the keys of its config that change a result, not those that say where it is kept and who is told. */
final class TrialIdentity {

    private static final int HEX_DIGITS = 10;

    /** Of a trained model and its figures. */
    private static final List<String> WITHOUT_EFFECT = List.of(
            "name",
            "runs",
            "plugins",
            "data.shards",
            "metrics.",
            "generation.",
            "training.checkpoint.",
            "backend.threads",
            "backend.device");

    private TrialIdentity() {}

    /**
     * A short hash.
     *
     * @param config resolved
     * @param context what else counts, such as the trial whose model is measured
     * @param bundledText where the program's own text is, which moves with the program
     */
    static String of(ExperimentConfig config, String context, String bundledText) {
        StringBuilder text = new StringBuilder(context).append('\n');
        for (Map.Entry<String, String> entry : new TreeMap<>(config.flat()).entrySet()) {
            if (WITHOUT_EFFECT.stream()
                    .noneMatch(prefix -> prefix.endsWith(".")
                            ? entry.getKey().startsWith(prefix)
                            : entry.getKey().matches(Pattern.quote(prefix) + "(\\[.*)?"))) {
                String value = bundledText.isEmpty()
                        ? entry.getValue()
                        : entry.getValue().replace(bundledText, StudyFile.BUNDLED_TEXT);
                text.append(entry.getKey()).append('=').append(value).append('\n');
            }
        }
        try {
            byte[] hash =
                    MessageDigest.getInstance("SHA-256").digest(text.toString().getBytes(StandardCharsets.UTF_8));
            return HexFormat.of().formatHex(hash).substring(0, HEX_DIGITS);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every JDK has SHA-256", e);
        }
    }
}
