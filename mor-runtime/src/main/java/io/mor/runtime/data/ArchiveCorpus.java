package io.mor.runtime.data;

import io.mor.api.data.Corpus;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;

/**
 * The entries of a zip or jar file that match a glob, each a document, ordered by name; read straight from the archive. The fingerprint is
 * made of the entries' names, sizes and checksums, so that it is the same wherever the archive lies.
 *
 * @param archive the zip or jar file
 * @param glob over entry names; {@code **}{@code /*.java} matches at the root too
 * @param listener hears warnings
 */
public record ArchiveCorpus(Path archive, String glob, DataListener listener) implements Corpus {

    /** Checks for null only: the archive is looked at when it is read. */
    public ArchiveCorpus {
        Objects.requireNonNull(archive, "archive is null");
        Objects.requireNonNull(glob, "glob is null");
        Objects.requireNonNull(listener, "listener is null");
    }

    private ZipFile openArchive() throws IOException {
        CorpusFiles.requireFile(archive);
        try {
            return new ZipFile(archive.toFile());
        } catch (IOException e) {
            throw new CorpusException(
                    archive + " cannot be read as a zip or jar file: " + e.getMessage()
                            + "; get it again, or check the path",
                    e);
        }
    }

    private List<? extends ZipEntry> entries(ZipFile zip) throws IOException {
        Glob matcher = new Glob(glob);
        List<? extends ZipEntry> found = zip.stream()
                .filter(entry -> !entry.isDirectory() && matcher.matches(Path.of(entry.getName())))
                .sorted(Comparator.comparing(ZipEntry::getName))
                .toList();
        if (found.isEmpty()) {
            throw new CorpusException(
                    "no entry of " + archive + " matches '" + glob + "'; change the pattern (** matches everything)");
        }
        return found;
    }

    @Override
    public Stream<Document> documents() throws IOException {
        ZipFile zip = openArchive();
        try {
            Utf8Decoding decoding = new Utf8Decoding(listener);
            List<? extends ZipEntry> entries = entries(zip);
            return entries.stream().map(entry -> read(zip, entry, decoding)).onClose(() -> close(zip, decoding));
        } catch (IOException | RuntimeException e) {
            zip.close();
            throw e;
        }
    }

    private Document read(ZipFile zip, ZipEntry entry, Utf8Decoding decoding) {
        String name = archive + "!/" + entry.getName();
        try (InputStream in = zip.getInputStream(entry)) {
            CorpusFiles.requireSize(name, entry.getSize());
            byte[] bytes = in.readAllBytes();
            CRC32 crc = new CRC32(); // ZipFile itself does not compare it
            crc.update(bytes);
            if (entry.getCrc() != -1 && entry.getCrc() != crc.getValue()) {
                throw new CorpusException(name + " cannot be read: its checksum does not match; get the archive again");
            }
            return new Document(name, decoding.decode(name, bytes));
        } catch (CorpusException e) {
            throw new UncheckedIOException(e);
        } catch (IOException e) {
            throw new UncheckedIOException(
                    new CorpusException(name + " cannot be read: " + e.getMessage() + "; get the archive again", e));
        }
    }

    private static void close(ZipFile zip, Utf8Decoding decoding) {
        try (zip) {
            decoding.warn();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public String fingerprint() throws IOException {
        Fingerprint fingerprint = new Fingerprint().add("archive");
        try (ZipFile zip = openArchive()) {
            for (ZipEntry entry : entries(zip)) {
                fingerprint.add(entry.getName()).add(entry.getSize()).add(entry.getCrc());
            }
        }
        return fingerprint.hex();
    }
}
