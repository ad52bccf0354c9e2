/** Figures to an MLflow tracking server. */
package io.mor.metrics.mlflow;
