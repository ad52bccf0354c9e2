/** Tests of the MLflow sink against a small server of their own. */
package io.mor.metrics.mlflow;
