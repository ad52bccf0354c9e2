/** Tests of running studies. */
package io.mor.study.run;
