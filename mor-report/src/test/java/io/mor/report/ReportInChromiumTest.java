package io.mor.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;
import static org.junit.jupiter.api.Assumptions.abort;

import io.mor.study.StudyResults;
import io.mor.study.StudyResults.Trial;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.ToDoubleFunction;
import java.util.stream.Collectors;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/** The page as a reader has it: opened from disk in a real browser, looked at, clicked and pointed at. */
class ReportInChromiumTest {

    private static final int COMPARED = 8;

    @TempDir
    private static Path folder;

    private static Optional<Chromium> chromium = Optional.empty();
    private static Path small;
    private static Path large;

    private Page page;

    @BeforeAll
    static void start() throws IOException, InterruptedException {
        Optional<Path> program = Chromium.find();
        if (program.isEmpty()) {
            String message = "no Chromium was found on the PATH or in MOR_CHROMIUM, so the report was not looked at;"
                    + " on Debian: apt-get install chromium";
            if ("true".equals(System.getenv("CI"))) {
                fail(message);
            }
            abort(message);
        }
        small = written("small.html", SampleStudy.small());
        large = written("large.html", SampleStudy.large());
        chromium = Optional.of(Chromium.start(program.get()));
    }

    private static Path written(String name, StudyResults results) {
        Path file = folder.resolve(name);
        new StudyReport(
                        results,
                        new ReportOptions(
                                Instant.parse("2026-01-02T06:00:00Z"), "0.1.0", Optional.of("mor report sample")))
                .write(file);
        return file;
    }

    @AfterAll
    static void stop() throws IOException, InterruptedException {
        if (chromium.isPresent()) {
            chromium.get().close();
        }
    }

    @BeforeEach
    void openTab() throws InterruptedException {
        page = chromium.orElseThrow().page().size(1280, 900, false).prefers("light");
    }

    @AfterEach
    void closeTabAndExpectNoComplaint() throws InterruptedException {
        try {
            assertEquals(List.of(), page.complaints(), "console");
            assertEquals(
                    List.of(),
                    page.requests().stream()
                            .filter(url -> !url.startsWith("file:") || !url.endsWith(".html"))
                            .toList(),
                    "requests");
            assertTrue(
                    page.evaluate("window.hacked === undefined").asBoolean(), "a text of the study ran as a program");
        } finally {
            page.close();
        }
    }

    /** Scrolls through the page, so that every chart is drawn. */
    private void drawAll() throws InterruptedException {
        int charts = page.evaluate("document.querySelectorAll('.chart').length").asInt();
        for (int i = 0; i < charts; i++) {
            page.evaluate("document.querySelectorAll('.chart')[" + i
                    + "].scrollIntoView({block: 'center', behavior: 'instant'})");
            page.await("document.querySelectorAll('.chart')[" + i + "].querySelector('svg path') !== null");
        }
    }

    /** How many shapes of a chart have one of the colours of the variants, as line or as filling. */
    private int marks(String selector, String shape) throws InterruptedException {
        return page.evaluate("""
                (() => {
                  const probe = document.body.appendChild(document.createElement('span'));
                  const resolved = [1, 2, 3, 4, 5, 6, 7, 8].map(i => (probe.style.color = `var(--series-${i})`, getComputedStyle(probe).color));
                  probe.remove();
                  return [...document.querySelectorAll('%s .chart svg path')].filter(path => {
                    const style = getComputedStyle(path);
                    return resolved.includes(style.%s);
                  }).length;
                })()
                """.formatted(selector, shape)).asInt();
    }

    private List<String> texts(String selector) throws InterruptedException {
        JsonNode found = page.evaluate(
                "[...document.querySelectorAll(" + Page.quoted(selector) + ")].map(each => each.textContent)");
        return StreamSupport.stream(found.spliterator(), false)
                .map(JsonNode::asString)
                .toList();
    }

    @Test
    void theReportOpensFromDiskWithoutConsoleErrorAndWithoutAnyRequest() throws InterruptedException {
        page.open(small);
        drawAll();
        assertEquals(List.of(small.toUri().toString()), page.requests());
        assertEquals(
                List.of(
                        "Ranking",
                        "Loss curves",
                        "Loss against cost",
                        "Depth over training",
                        "Text by depth",
                        "Memory and speed of generation",
                        "Configs side by side",
                        "Failed and unfinished trials",
                        "Environment"),
                texts("section h2"));
    }

    @Test
    void everyChartDrawsItsMarks() throws InterruptedException {
        page.open(small);
        drawAll();
        int seeds = (int) SampleStudy.small().trials().stream()
                .filter(trial -> trial.state() == StudyResults.State.DONE)
                .count();
        // a line for every trial that is done, and, as there are few, a symbol for each evaluation after the beginning
        // that is cut off
        int curves = marks("#curves", "stroke") + marks("#curves", "fill");
        assertTrue(curves >= seeds * (1 + 8), () -> "lines and symbols of the curves: " + curves);
        assertTrue(marks("#pareto", "stroke") + marks("#pareto", "fill") >= COMPARED, () -> "points");
        assertEquals(2 * COMPARED, marks("#generation", "fill"), "bars of memory and speed");
        assertEquals(
                COMPARED,
                page.evaluate("document.querySelectorAll('#depth .chart').length")
                        .asInt());
        int bars = page.evaluate("document.querySelectorAll('#depth .chart svg path[fill^=\"rgb(\"]').length")
                .asInt();
        assertTrue(bars >= 12 * (4 * 2 + 4 * 3), () -> "bars of depth: " + bars);
    }

    @Test
    void onTheParetoFrontIsWhatNoOtherVariantBeatsInBothCostAndLoss() throws InterruptedException {
        page.open(small);
        page.click("#pareto details summary");
        Map<String, ToDoubleFunction<Trial>> costs = new LinkedHashMap<>();
        costs.put("model-flops", trial -> trial.plan().modelFlops());
        costs.put(
                StudyResults.KV_BYTES_PER_TOKEN,
                trial -> trial.figure(StudyResults.KV_BYTES_PER_TOKEN).orElseThrow());
        costs.put("mean-depth", trial -> trial.figure("validation-mean-depth").orElseThrow());
        Set<Integer> sizes = new HashSet<>();
        for (Map.Entry<String, ToDoubleFunction<Trial>> cost : costs.entrySet()) {
            page.click("#pareto button[data-value=" + cost.getKey() + "]");
            Set<String> expected = onTheFront(cost.getValue());
            sizes.add(expected.size());
            assertEquals(
                    expected,
                    Set.copyOf(texts("#pareto tbody tr:has(td:last-child:not(:empty)) th").stream()
                            .map(text -> text.replaceFirst("^#\\d+ ", ""))
                            .toList()),
                    cost.getKey());
            String sentence = texts("#pareto p[role=status]").getFirst();
            expected.forEach(variant -> assertTrue(sentence.contains(variant), sentence));
        }
        assertTrue(sizes.size() > 1 && !sizes.contains(COMPARED), () -> "fronts of " + sizes + " variants");
    }

    /** The variants that no other beats, each compared with each. */
    private static Set<String> onTheFront(ToDoubleFunction<Trial> cost) {
        Map<String, List<Trial>> variants = SampleStudy.small().trials().stream()
                .filter(trial -> trial.state() == StudyResults.State.DONE)
                .collect(Collectors.groupingBy(Trial::variant));
        Map<String, Double> costs = new LinkedHashMap<>();
        Map<String, Double> losses = new LinkedHashMap<>();
        variants.forEach((name, trials) -> {
            costs.put(name, trials.stream().mapToDouble(cost).average().orElseThrow());
            losses.put(
                    name,
                    trials.stream()
                            .mapToDouble(trial -> trial.causalLoss().orElseThrow())
                            .average()
                            .orElseThrow());
        });
        return variants.keySet().stream()
                .filter(one -> variants.keySet().stream()
                        .noneMatch(other -> costs.get(other) <= costs.get(one) && losses.get(other) < losses.get(one)))
                .collect(Collectors.toSet());
    }

    @Test
    void curvesAreDrawnAgainstStepsTokensFlopsAndTime() throws InterruptedException {
        page.open(small);
        drawAll();
        List<String> seen = new ArrayList<>();
        for (String axis : List.of("step", "tokens", "flops", "seconds")) {
            page.click("#curves button[data-value=" + axis + "]");
            page.await("document.querySelector('#curves button[data-value=" + axis
                    + "]').getAttribute('aria-pressed') === 'true'");
            seen.add(String.join(" ", texts("#curves .chart svg text")));
        }
        assertEquals(4, seen.stream().distinct().count(), () -> "labels of the axes: " + seen);
        assertTrue(seen.get(0).contains("optimizer steps"), seen.get(0));
        assertTrue(seen.get(2).contains("FLOPs"), seen.get(2));
    }

    @Test
    void aClickOnAHeadingSortsTheRankingAndAnotherTurnsItRound() throws InterruptedException {
        page.open(small);
        assertEquals(
                List.of("1", "2", "3", "4", "5", "6", "7", "8"),
                texts("#ranking-table tbody td:first-child"),
                "by rank at first");
        List<String> ranked = texts("#ranking-table tbody th");

        page.click("#ranking-table th[data-key=kv] button");
        List<Integer> bytes = kvBytes();
        assertEquals(bytes.stream().sorted().toList(), bytes);
        assertEquals("ascending", sorting("kv"));
        assertNotEquals(ranked, texts("#ranking-table tbody th"));

        page.click("#ranking-table th[data-key=kv] button");
        assertEquals(bytes.stream().sorted(Comparator.reverseOrder()).toList(), kvBytes());
        assertEquals("descending", sorting("kv"));

        page.click("#ranking-table th[data-key=rank] button");
        assertEquals(ranked, texts("#ranking-table tbody th"));
    }

    private List<Integer> kvBytes() throws InterruptedException {
        int column = page.evaluate(
                        "[...document.querySelectorAll('#ranking-table thead th')].findIndex(each => each.dataset.key === 'kv') + 1")
                .asInt();
        return texts("#ranking-table tbody tr > :nth-child(" + column + ")").stream()
                .map(text -> Integer.valueOf(text.replaceAll("\\D", "")))
                .toList();
    }

    private String sorting(String key) throws InterruptedException {
        return page.evaluate(
                        "document.querySelector('#ranking-table th[data-key=" + key + "]').getAttribute('aria-sort')")
                .asString();
    }

    @Test
    void theRankingHasMeanSpreadAndWhetherADifferenceExceedsIt() throws InterruptedException {
        page.open(small);
        ReportFigures expected = ReportFigures.of(SampleStudy.small());
        assertEquals(expected.means(), texts("#ranking-table tbody tr > :nth-child(3)"));
        assertEquals(expected.spreads(), texts("#ranking-table tbody tr > :nth-child(4)"));
        assertEquals(
                expected.verdicts(),
                texts("#ranking-table tbody .verdict").stream()
                        .map(text -> text.substring(1))
                        .toList());
        assertTrue(
                expected.verdicts().contains("yes") && expected.verdicts().contains("no, within it"),
                "the sample has both");
    }

    @Test
    void pointingAtATokenShowsTheRoutersScores() throws InterruptedException {
        page.open(small);
        page.hover("#samples .token[data-at='4']");
        page.await("!document.getElementById('bubble').hidden");
        String shown = texts("#bubble").getFirst();
        Trial trial = trialOfFirstSample();
        var token = trial.samples().getFirst().tokens().get(4);
        assertTrue(shown.contains("depth " + token.depth() + " of"), shown);
        for (double score : token.scores()) {
            assertTrue(shown.contains(String.format(Locale.ROOT, "%.4f", score)), shown);
        }
        page.hover("h1");
        page.await("document.getElementById('bubble').hidden");

        page.evaluate("document.querySelector('#samples .sample').focus()");
        page.key("ArrowRight");
        page.await("!document.getElementById('bubble').hidden");
        page.key("ArrowRight");
        page.await("document.getElementById('bubble').textContent.includes('token 2')");
        page.key("Escape");
        page.await("document.getElementById('bubble').hidden");
    }

    private Trial trialOfFirstSample() throws InterruptedException {
        String first = texts("#samples option:checked").getFirst().replaceFirst("^#\\d+ ", "");
        return SampleStudy.small().trials().stream()
                .filter(trial -> trial.variant().equals(first))
                .findFirst()
                .orElseThrow();
    }

    @Test
    void pointingAtACurveShowsTheLossesThere() throws InterruptedException {
        page.open(small);
        drawAll();
        page.hover("#curves .chart");
        page.await(
                "[...document.querySelectorAll('#curves .tip td')].some(each => /^\\d\\.\\d{4}/.test(each.textContent))");
    }

    @Test
    void darkColoursComeFromTheSystemOrTheButtonAndTextKeepsItsContrast() throws InterruptedException {
        page.open(small);
        drawAll();
        assertTrue(background() > 0.8, "light");
        String lightAxis = axisColour();
        assertEquals(List.of(), weakTexts());
        page.click("button.theme");
        page.await("document.documentElement.style.colorScheme === 'dark'");
        assertTrue(background() < 0.05, "dark by the button");
        assertEquals(List.of(), weakTexts());
        page.await("(" + AXIS_COLOUR + ") !== " + Page.quoted(lightAxis));
        page.click("button.theme");
        assertTrue(background() > 0.8, "light by the button");

        page.prefers("dark").open(small);
        assertTrue(background() < 0.05, "dark by the system");
        page.click("button.theme");
        assertTrue(background() > 0.8, "the button wins over the system");
    }

    private static final String AXIS_COLOUR =
            "getComputedStyle(document.querySelector('#curves .chart svg text')).fill";

    private String axisColour() throws InterruptedException {
        return page.evaluate(AXIS_COLOUR).asString();
    }

    private static final String LUMINANCE = """
            const luminance = colour => {
              const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map(Number).map(value => value / 255)
                .map(value => value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
              return 0.2126 * r + 0.7152 * g + 0.0722 * b;
            };
            """;

    private double background() throws InterruptedException {
        return page.evaluate("(() => {" + LUMINANCE
                        + "return luminance(getComputedStyle(document.body).backgroundColor); })()")
                .asDouble();
    }

    /** Texts whose contrast to what lies behind them is below 4.5. */
    private List<String> weakTexts() throws InterruptedException {
        JsonNode found = page.evaluate("(() => {" + LUMINANCE + """
                const weak = new Set();
                const walker = document.createTreeWalker(document.getElementById('report'), NodeFilter.SHOW_TEXT);
                while (walker.nextNode()) {
                  const element = walker.currentNode.parentElement;
                  if (!walker.currentNode.textContent.trim() || element.closest('svg, [aria-hidden], option, .self')) continue;
                  let behind = element;
                  while (behind && getComputedStyle(behind).backgroundColor.match(/[\\d.]+/g)[3] === '0') behind = behind.parentElement;
                  const [a, b] = [luminance(getComputedStyle(element).color), luminance(getComputedStyle(behind ?? document.body).backgroundColor)].sort((x, y) => y - x);
                  if ((a + 0.05) / (b + 0.05) < 4.5) weak.add(`${element.tagName}.${element.className}: ${((a + 0.05) / (b + 0.05)).toFixed(2)}`);
                }
                return [...weak];
                })()
                """);
        return StreamSupport.stream(found.spliterator(), false)
                .map(JsonNode::asString)
                .toList();
    }

    @Test
    void chartsFollowTheWidthOfTheWindowAndKeepItWhileNothingIsShown() throws InterruptedException {
        String fits = "[...document.querySelectorAll('.chart')].every(box => box.clientWidth > 300 &&"
                + " Number(box.querySelector('svg').getAttribute('width')) === box.clientWidth)";
        page.open(small);
        drawAll();
        page.await(fits);
        page.size(700, 900, false);
        page.await("document.querySelector('#curves .chart').clientWidth < 660");
        page.await(fits);
        page.evaluate("document.getElementById('report').style.display = 'none'");
        page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))");
        page.evaluate("document.getElementById('report').style.display = ''");
        page.await(fits);
    }

    @Test
    void axeFindsNothingThatKeepsPeopleFromUsingThePage() throws IOException, InterruptedException {
        String axe;
        try (InputStream script = ReportInChromiumTest.class.getResourceAsStream("/axe.min.js")) {
            axe = new String(script.readAllBytes(), StandardCharsets.UTF_8);
        }
        for (String scheme : List.of("light", "dark")) {
            page.prefers(scheme).open(small);
            drawAll();
            page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)");
            page.evaluate(axe + ";0");
            JsonNode found = page.evaluate("""
                    axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice']}).then(result => ({
                      passed: result.passes.length,
                      violations: result.violations.flatMap(rule => rule.nodes.map(node => `${rule.id}: ${node.html.slice(0, 120)}`)),
                    }))
                    """);
            assertEquals("[]", found.get("violations").toString(), scheme);
            assertTrue(found.get("passed").asInt() > 20, () -> "rules that were applied: " + found.get("passed"));
        }
    }

    @Test
    void aPhoneNeverScrollsThePageSideways() throws InterruptedException {
        page.size(390, 844, true).open(small);
        drawAll();
        page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)");
        page.await("document.querySelectorAll('details .scroll').length > 3");
        assertEquals(390, page.evaluate("document.scrollingElement.scrollWidth").asInt());
        JsonNode wide = page.evaluate("""
                [...document.querySelectorAll('section, header, footer, .chart, .tile, .panel, .sample')]
                  .filter(each => each.getBoundingClientRect().right > 390.5).map(each => each.id || each.className)
                """);
        assertEquals("[]", wide.toString());
    }

    @Test
    void whatTheStudyHoldsStandsThereAsText() throws InterruptedException {
        page.open(small);
        assertTrue(
                texts("h1").getFirst().endsWith(SampleStudy.HOSTILE),
                texts("h1").getFirst());
        assertTrue(page.evaluate("document.title").asString().contains("</script>"));
        assertTrue(texts("#failures td").stream()
                .anyMatch(text -> text.equals("loss is not finite at step 412 " + SampleStudy.HOSTILE)));
        assertTrue(texts("#samples .token").contains(SampleStudy.HOSTILE));
        page.click("#configs button[data-value=all]");
        assertTrue(texts("#configs td").stream().anyMatch(text -> text.contains(SampleStudy.HOSTILE)));
        assertEquals(0, page.evaluate("document.querySelectorAll('img').length").asInt());
        assertEquals(
                2,
                page.evaluate("document.querySelectorAll('script:not([type])').length")
                        .asInt());
    }

    @Test
    void configsStandSideBySideWithDifferencesMarked() throws InterruptedException {
        page.open(small);
        assertEquals(List.of("router.type", "kv-cache.type", "model.recursions"), texts("#configs tbody th"));
        int marked = page.evaluate("document.querySelectorAll('#configs td.differs').length")
                .asInt();
        assertEquals(4 + 4 + 4, marked, "of eight columns four differ from the first in each axis");
        page.click("#configs button[data-value=all]");
        assertTrue(texts("#configs tbody th").contains("model.hidden"));
        assertFalse(texts("#configs tbody th").contains("seed"), "what differs between seeds is left out");
    }

    @Test
    void aDepthHasOneColourWhateverTheRecursionsOfTheModel() throws InterruptedException {
        page.open(small);
        JsonNode colours = page.evaluate("""
                (() => {
                  const seen = {};
                  for (const sign of document.querySelectorAll('.depths i'))
                    (seen[sign.textContent] ??= new Set()).add(getComputedStyle(sign).backgroundColor);
                  return Object.entries(seen).map(([depth, colours]) => `${depth}: ${colours.size}`);
                })()
                """);
        assertEquals(
                List.of("1: 1", "2: 1", "3: 1"),
                StreamSupport.stream(colours.spliterator(), false)
                        .map(JsonNode::asString)
                        .toList(),
                "colours of each depth, on models of two and of three recursions");
    }

    @Test
    void depthsAreShownByDepthAndByRecursion() throws InterruptedException {
        page.open(small);
        page.evaluate("document.querySelectorAll('#depth details').forEach(each => each.open = true)");
        page.await("document.querySelectorAll('#depth tbody tr').length === 12 * " + COMPARED);
        assertEquals(
                List.of("100", "12.0 %", "88.0 %", "1.880"),
                texts("#depth .panel:first-child tbody tr:first-child > *"));
        page.click("#depth button[data-value=recursion]");
        page.evaluate("document.querySelectorAll('#depth details').forEach(each => each.open = true)");
        page.await("document.querySelectorAll('#depth tbody tr').length === 12 * " + COMPARED);
        assertEquals(
                List.of("100", "100.0 %", "88.0 %", "1.880"),
                texts("#depth .panel:first-child tbody tr:first-child > *"));
        drawAll();
    }

    @Test
    void failedTrialsAreNamedWithTheirCauseAndCountNowhere() throws InterruptedException {
        page.open(small);
        List<String> rows = texts("#failures tbody tr");
        assertEquals(2, rows.size());
        assertTrue(
                rows.getFirst().contains("failed") && rows.getFirst().contains("loss is not finite"), rows.getFirst());
        assertTrue(rows.getLast().contains("pending"), rows.getLast());
        assertEquals("22 of 24", texts(".tile .value").getFirst());
    }

    @Test
    void takingAVariantOutOfTheComparisonTakesItOutOfTheCharts() throws InterruptedException {
        page.open(small);
        drawAll();
        page.click("#ranking-table tbody tr:first-child input");
        page.await("document.querySelectorAll('#depth .chart').length === " + (COMPARED - 1));
        drawAll();
        assertEquals(2 * (COMPARED - 1), marks("#generation", "fill"));
        assertEquals(
                COMPARED - 1,
                page.evaluate("document.querySelectorAll('#curves .legend li').length")
                        .asInt());
    }

    @Test
    void aStudyOfTwoHundredTrialsStaysUsable() throws IOException, InterruptedException {
        assertEquals(200, SampleStudy.large().trials().size());
        assertTrue(Files.size(large) < 6_000_000, () -> "bytes of the file");
        page.open(large);
        drawAll();
        assertEquals(
                40,
                page.evaluate("document.querySelectorAll('#ranking-table tbody tr').length")
                        .asInt());
        int lines = page.evaluate("document.querySelectorAll('#curves .chart svg path[fill=none]').length")
                .asInt();
        assertTrue(lines >= 198, () -> "lines: " + lines);
        page.evaluate(
                "const search = document.querySelector('#ranking input[type=search]'); search.value = 'random'; search.dispatchEvent(new Event('input'))");
        page.await("document.querySelectorAll('#ranking-table tbody tr').length === 10");
        int elements = page.evaluate("document.querySelectorAll('*').length").asInt();
        assertTrue(elements < 20_000, () -> "elements: " + elements);
    }

    @Test
    void aStudyWithoutAnyResultYetHasAReport() throws InterruptedException {
        List<Trial> pending = SampleStudy.small().trials().stream()
                .filter(trial -> trial.state() == StudyResults.State.PENDING)
                .toList();
        page.open(written("pending.html", SampleStudy.with(SampleStudy.small(), pending)));
        assertTrue(texts(".answer").getFirst().startsWith("No trial has finished yet"));
        page.open(written("empty.html", SampleStudy.with(SampleStudy.small(), List.of())));
        assertEquals("0 of 0", texts(".tile .value").getFirst());
    }

    @Test
    void aVariantThatMeasuresAnothersModelHasItsCostButNoCurve() throws InterruptedException {
        List<Trial> trained = SampleStudy.small().trials().subList(0, 3);
        List<Trial> trials = new ArrayList<>(trained);
        trained.forEach(trial -> trials.add(SampleStudy.evaluationOf(trial, "depth 1")));
        page.open(written("evaluations.html", SampleStudy.with(SampleStudy.small(), trials)));
        drawAll();
        assertEquals(
                1,
                page.evaluate("document.querySelectorAll('#curves .legend li').length")
                        .asInt());
        assertEquals(
                List.of("1 compared variant measures a model that another trained, or has no curve."),
                texts("#curves .legend + .note"));
        page.click("#curves button[data-value=gap]");
        int column = page.evaluate(
                        "[...document.querySelectorAll('#ranking-table thead th')].findIndex(each => each.dataset.key === 'flops') + 1")
                .asInt();
        assertEquals(
                1,
                texts("#ranking-table tbody tr > :nth-child(" + column + ")").stream()
                        .distinct()
                        .count(),
                "FLOPs of both variants");
        page.click("#curves button[data-value=train]");
        page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)");
    }

    @Test
    void aStudyOfOneTrialHasAReport() throws InterruptedException {
        page.open(written(
                "one.html",
                SampleStudy.with(
                        SampleStudy.small(), SampleStudy.small().trials().subList(0, 1))));
        drawAll();
        assertTrue(texts(".answer").getFirst().contains("one seed"));
    }

    @Test
    void screenshotsForTheEyeAreTakenWhereTheyAreAskedFor() throws IOException, InterruptedException {
        String wanted = System.getProperty("mor.report.screenshots", "");
        Path into = wanted.isEmpty() ? folder : Files.createDirectories(Path.of(wanted));
        Path file = Path.of(System.getProperty("mor.report.file", small.toString()));
        for (String scheme : List.of("light", "dark")) {
            page.size(1280, 900, false).prefers(scheme).open(file);
            drawAll();
            page.screenshot(into.resolve(scheme + ".png"), true);
        }
        page.size(390, 844, true).prefers("light").open(file);
        drawAll();
        page.screenshot(into.resolve("phone.png"), true);
        assertTrue(Files.size(into.resolve("phone.png")) > 10_000);
    }
}
