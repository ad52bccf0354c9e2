package io.mor.runtime.importer;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** A Llama in plain double loops, one token at a time, that rotates halves: what imported weights must work with. */
final class ScalarLlama {

    private final LlamaShape shape;
    private final Map<String, ImportedWeight> weights;
    private final List<List<double[]>> keys = new ArrayList<>();
    private final List<List<double[]>> values = new ArrayList<>();

    ScalarLlama(LlamaShape shape, Map<String, ImportedWeight> weights) {
        this.shape = shape;
        this.weights = weights;
        for (int layer = 0; layer < shape.layers(); layer++) {
            keys.add(new ArrayList<>());
            values.add(new ArrayList<>());
        }
    }

    /** The logits after one more token. */
    double[] next(int id) {
        int width = shape.hidden();
        double[] x = new double[width];
        for (int i = 0; i < width; i++) {
            x[i] = weights.get("embed.weight").values()[id * width + i];
        }
        for (int layer = 0; layer < shape.layers(); layer++) {
            String name = "layers." + layer + ".";
            add(x, attention(layer, name, norm(x, name + "input_layernorm.weight")));
            double[] y = norm(x, name + "post_attention_layernorm.weight");
            double[] gate = multiply(name + "mlp.gate_proj.weight", y);
            double[] up = multiply(name + "mlp.up_proj.weight", y);
            for (int i = 0; i < gate.length; i++) {
                gate[i] *= up[i] / (1 + Math.exp(-gate[i]));
            }
            add(x, multiply(name + "mlp.down_proj.weight", gate));
        }
        return multiply(shape.tied() ? "embed.weight" : "lm_head.weight", norm(x, "norm.weight"));
    }

    private double[] attention(int layer, String name, double[] y) {
        int position = keys.get(layer).size();
        double[] q = rotate(multiply(name + "self_attn.q_proj.weight", y), position);
        keys.get(layer).add(rotate(multiply(name + "self_attn.k_proj.weight", y), position));
        values.get(layer).add(multiply(name + "self_attn.v_proj.weight", y));
        int width = shape.headWidth();
        double[] out = new double[shape.hidden()];
        for (int head = 0; head < shape.heads(); head++) {
            int kv = head / (shape.heads() / shape.kvHeads()) * width;
            double[] scores = new double[position + 1];
            double sum = 0;
            for (int t = 0; t <= position; t++) {
                double score = 0;
                for (int i = 0; i < width; i++) {
                    score += q[head * width + i] * keys.get(layer).get(t)[kv + i];
                }
                scores[t] = Math.exp(score / Math.sqrt(width)); // small models: no overflow
                sum += scores[t];
            }
            for (int t = 0; t <= position; t++) {
                for (int i = 0; i < width; i++) {
                    out[head * width + i] += scores[t] / sum * values.get(layer).get(t)[kv + i];
                }
            }
        }
        return multiply(name + "self_attn.o_proj.weight", out);
    }

    private double[] rotate(double[] x, int position) {
        int width = shape.headWidth();
        double[] out = new double[x.length];
        for (int head = 0; head < x.length; head += width) {
            for (int i = 0; i < width / 2; i++) {
                double angle = position * Math.pow(shape.ropeTheta(), -2.0 * i / width);
                double a = x[head + i];
                double b = x[head + i + width / 2];
                out[head + i] = a * Math.cos(angle) - b * Math.sin(angle);
                out[head + i + width / 2] = a * Math.sin(angle) + b * Math.cos(angle);
            }
        }
        return out;
    }

    private double[] norm(double[] x, String name) {
        double squares = 0;
        for (double value : x) {
            squares += value * value;
        }
        double scale = 1 / Math.sqrt(squares / x.length + shape.normEpsilon());
        double[] out = new double[x.length];
        for (int i = 0; i < x.length; i++) {
            out[i] = x[i] * scale * weights.get(name).values()[i];
        }
        return out;
    }

    private double[] multiply(String name, double[] x) {
        ImportedWeight weight = weights.get(name);
        double[] out = new double[weight.shape().get(0)];
        for (int row = 0; row < out.length; row++) {
            for (int i = 0; i < x.length; i++) {
                out[row] += weight.values()[row * x.length + i] * x[i];
            }
        }
        return out;
    }

    private static void add(double[] to, double[] what) {
        for (int i = 0; i < to.length; i++) {
            to[i] += what[i];
        }
    }
}
