package io.mor.runtime.data;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/** SHA-256 over a sequence of texts and numbers, each delimited so that no two sequences run into each other. Thread safety: one thread. */
public final class Fingerprint {

    private final MessageDigest digest;

    /** An empty fingerprint. */
    public Fingerprint() {
        try {
            digest = MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java platform has SHA-256", e);
        }
    }

    /** Adds a text. */
    public Fingerprint add(String text) {
        return add(text.getBytes(StandardCharsets.UTF_8));
    }

    /** Adds bytes. */
    public Fingerprint add(byte[] bytes) {
        add(bytes.length);
        digest.update(bytes);
        return this;
    }

    /** Adds a number. */
    public Fingerprint add(long number) {
        for (int shift = 0; shift < Long.SIZE; shift += Byte.SIZE) {
            digest.update((byte) (number >>> shift));
        }
        return this;
    }

    /** The 32 bytes; the fingerprint is empty again afterwards. */
    public byte[] bytes() {
        return digest.digest();
    }

    /** The 64 hexadecimal digits; the fingerprint is empty again afterwards. */
    public String hex() {
        return HexFormat.of().formatHex(bytes());
    }
}
