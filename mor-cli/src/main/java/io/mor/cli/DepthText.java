package io.mor.cli;

import io.mor.runtime.generate.GeneratedToken;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/** Text with each token coloured by how many recursions it went through; without colour, the depths stand in a line of their own below. */
final class DepthText {

  private DepthText() {}

  static String of(Console console, int recursions, String prompt, List<GeneratedToken> tokens) {
    if (!console.colour()) {
      String text = prompt + tokens.stream().map(GeneratedToken::text).collect(Collectors.joining());
      String depths = tokens.stream().map(token -> String.valueOf(token.depth())).collect(Collectors.joining());
      return text + System.lineSeparator() + "depths of the new tokens: " + depths;
    }
    DepthColours colours = new DepthColours(recursions);
    return prompt + tokens.stream().map(token -> colours.paint(token.text(), token.depth())).collect(Collectors.joining());
  }

  static String legend(Console console, int recursions) {
    DepthColours colours = new DepthColours(recursions);
    return IntStream.rangeClosed(1, recursions)
        .mapToObj(depth -> console.colour() ? colours.paint(String.valueOf(depth), depth) : String.valueOf(depth))
        .collect(Collectors.joining(" "));
  }
}
