package io.mor.cli;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/** What is known of the program itself, for the record of an experiment. */
final class ProgramFacts {

    private static final long PATIENCE_SECONDS = 5;

    private ProgramFacts() {}

    /** Version and, where it runs from a checkout, the commit. */
    static Map<String, String> all() {
        Map<String, String> facts = new LinkedHashMap<>();
        facts.put("mor", Version.number());
        String commit = commit();
        if (!commit.isEmpty()) {
            facts.put("commit", commit);
        }
        return facts;
    }

    /** As git tells it, {@code -dirty} with changes; empty where there is no checkout or no git. */
    private static String commit() {
        Path home = Path.of(System.getProperty("mor.home", "."));
        if (!Files.isDirectory(home)) {
            return "";
        }
        try {
            Process git = new ProcessBuilder("git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*")
                    .directory(home.toFile())
                    .redirectError(ProcessBuilder.Redirect.DISCARD)
                    .start();
            git.getOutputStream().close();
            String said = new String(git.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
            return git.waitFor(PATIENCE_SECONDS, TimeUnit.SECONDS) && git.exitValue() == 0 ? said : "";
        } catch (IOException e) {
            return "";
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return "";
        }
    }
}
