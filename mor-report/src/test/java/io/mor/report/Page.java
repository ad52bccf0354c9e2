package io.mor.report;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.concurrent.TimeUnit;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** A tab. */
final class Page {

    private static final long SECONDS = 20;

    private final DevTools tools;
    private final String target;
    private final String session;

    Page(DevTools tools) throws InterruptedException {
        this.tools = tools;
        this.target = tools.send(
                        "", "Target.createTarget", DevTools.parameters().put("url", "about:blank"))
                .get("targetId")
                .asString();
        this.session = tools.send(
                        "",
                        "Target.attachToTarget",
                        DevTools.parameters().put("targetId", target).put("flatten", true))
                .get("sessionId")
                .asString();
        for (String domain : List.of("Page", "Runtime", "Log", "Network")) {
            send(domain + ".enable", DevTools.parameters());
        }
    }

    private JsonNode send(String method, ObjectNode parameters) throws InterruptedException {
        return tools.send(session, method, parameters);
    }

    /** A window of this size. */
    Page size(int width, int height, boolean phone) throws InterruptedException {
        send(
                "Emulation.setDeviceMetricsOverride",
                DevTools.parameters()
                        .put("width", width)
                        .put("height", height)
                        .put("deviceScaleFactor", 1)
                        .put("mobile", phone));
        return this;
    }

    /** What the reader's system prefers. */
    Page prefers(String scheme) throws InterruptedException {
        ObjectNode parameters = DevTools.parameters();
        parameters
                .putArray("features")
                .addObject()
                .put("name", "prefers-color-scheme")
                .put("value", scheme);
        send("Emulation.setEmulatedMedia", parameters);
        return this;
    }

    /** Opens a file and waits until it is loaded. */
    Page open(Path file) throws InterruptedException {
        send("Page.navigate", DevTools.parameters().put("url", file.toUri().toString()));
        await("document.readyState === 'complete' && location.protocol === 'file:'");
        return this;
    }

    /** The value of an expression, which may be a promise. */
    JsonNode evaluate(String expression) throws InterruptedException {
        JsonNode answer = send(
                "Runtime.evaluate",
                DevTools.parameters()
                        .put("expression", expression)
                        .put("returnByValue", true)
                        .put("awaitPromise", true));
        if (answer.has("exceptionDetails")) {
            throw new AssertionError(expression + ": " + answer.get("exceptionDetails"));
        }
        return answer.get("result").path("value");
    }

    /** Waits until an expression is true. */
    void await(String expression) throws InterruptedException {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(SECONDS);
        while (!evaluate(expression).asBoolean(false)) {
            if (System.nanoTime() > end) {
                throw new AssertionError("never came true: " + expression);
            }
            Thread.sleep(20);
        }
    }

    /** Moves the mouse to the middle of the first element that a selector finds, which is scrolled to. */
    void hover(String selector) throws InterruptedException {
        JsonNode place = middle(selector);
        mouse("mouseMoved", place.get(0).asDouble(), place.get(1).asDouble(), 0);
    }

    /** Clicks there with the mouse. */
    void click(String selector) throws InterruptedException {
        JsonNode place = middle(selector);
        double x = place.get(0).asDouble();
        double y = place.get(1).asDouble();
        mouse("mouseMoved", x, y, 0);
        mouse("mousePressed", x, y, 1);
        mouse("mouseReleased", x, y, 1);
    }

    /** Where the middle of an element is after the page has scrolled to it and said so to its listeners. */
    private JsonNode middle(String selector) throws InterruptedException {
        return evaluate("new Promise(found => { const element = document.querySelector(" + quoted(selector) + ");"
                + " element.scrollIntoView({block: 'center', behavior: 'instant'});"
                + " requestAnimationFrame(() => requestAnimationFrame(() => { const box = element.getClientRects()[0];"
                + " found([box.left + box.width / 2, box.top + box.height / 2]); })); })");
    }

    private void mouse(String type, double x, double y, int clicks) throws InterruptedException {
        send(
                "Input.dispatchMouseEvent",
                DevTools.parameters()
                        .put("type", type)
                        .put("x", x)
                        .put("y", y)
                        .put("button", clicks == 0 ? "none" : "left")
                        .put("clickCount", clicks));
    }

    /** Presses a key. */
    void key(String key) throws InterruptedException {
        for (String type : List.of("keyDown", "keyUp")) {
            send(
                    "Input.dispatchKeyEvent",
                    DevTools.parameters().put("type", type).put("key", key));
        }
    }

    static String quoted(String text) {
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'";
    }

    /** Errors and warnings that the page wrote to the console, or that the browser wrote about it, and exceptions nobody caught. */
    List<String> complaints() {
        List<String> found = new ArrayList<>();
        for (JsonNode event : tools.events(session)) {
            switch (event.get("method").asString()) {
                case "Runtime.exceptionThrown" -> found.add(event.get("params").toString());
                case "Runtime.consoleAPICalled" -> {
                    if (List.of("error", "warning", "assert")
                            .contains(event.at("/params/type").asString())) {
                        found.add(event.get("params").toString());
                    }
                }
                case "Log.entryAdded" -> found.add(event.at("/params/entry").toString());
                default -> {
                    // of no concern
                }
            }
        }
        return found;
    }

    /** The addresses that the page asked for, but for data that are in the address itself. */
    List<String> requests() {
        return tools.events(session).stream()
                .filter(event -> event.get("method").asString().equals("Network.requestWillBeSent"))
                .map(event -> event.at("/params/request/url").asString())
                .filter(url -> !url.startsWith("data:"))
                .toList();
    }

    /** A picture of the window, or of the whole page. */
    void screenshot(Path png, boolean whole) throws InterruptedException, IOException {
        JsonNode answer = send(
                "Page.captureScreenshot",
                DevTools.parameters().put("format", "png").put("captureBeyondViewport", whole));
        Files.write(png, Base64.getDecoder().decode(answer.get("data").asString()));
    }

    void close() throws InterruptedException {
        tools.send("", "Target.closeTarget", DevTools.parameters().put("targetId", target));
    }
}
