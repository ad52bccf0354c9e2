/** From a study file to the trials that it asks for: axes, budgets, what each trial costs. */
package io.mor.study.plan;
