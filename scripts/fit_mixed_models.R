# Simulates answers and fits them with lme4 by maximum likelihood: what the tests hold the mixed models to.
#
#     Rscript scripts/fit_mixed_models.R tests/goldens/mixed_models
#
# It needs R with lme4 (Debian: r-cran-lme4) and writes answers.csv, one row for each person and item, and fits.csv, one
# number a row. root_r2 is the root of var(fitted) / (var(fitted) + var(outcome - fitted)), people's effects in fitted.

suppressPackageStartupMessages(library(lme4))

PEOPLE <- 30
ITEMS <- 40

simulate_answers <- function() {
  grid <- expand.grid(item = seq_len(ITEMS), person = seq_len(PEOPLE))
  item <- rnorm(ITEMS)
  intercept <- rnorm(PEOPLE, -0.4, 0.9)[grid$person]
  slope <- rnorm(PEOPLE, 1.4, 0.8)[grid$person]
  yes <- function(logit) rbinom(nrow(grid), 1, plogis(logit))
  grid$human <- yes(1.2 * item[grid$item])
  grid$human_rating <- round(50 + 20 * rnorm(nrow(grid)), 2)
  grid$model <- yes(intercept + slope * grid$human)
  grid$model_count <- rbinom(nrow(grid), 10, plogis(intercept + slope * grid$human))
  grid$model_rating <- round(20 + 15 * intercept + 0.3 * slope * grid$human_rating + 10 * rnorm(nrow(grid)), 2)
  grid$model_of_item <- round(item + rnorm(ITEMS), 2)[grid$item]
  grid$human_of_item <- yes(intercept + slope * grid$model_of_item + 0.8 * rnorm(ITEMS)[grid$item])
  grid
}

as_rows <- function(name, fit, slope, outcome) {
  fitted <- fitted(fit)
  numbers <- c(slope = fixef(fit)[[slope]], standard_error = sqrt(vcov(fit)[slope, slope]),
               root_r2 = sqrt(var(fitted) / (var(fitted) + var(outcome - fitted))))
  data.frame(fit = name, quantity = names(numbers), value = signif(unname(numbers), 6))
}

main <- function(folder) {
  set.seed(1)
  answers <- simulate_answers()
  write.csv(answers, file.path(folder, "answers.csv"), row.names = FALSE)
  answers <- transform(answers, human_z = as.vector(scale(human_rating)), model_z = as.vector(scale(model_rating)))
  optimizer <- glmerControl(optimizer = "bobyqa")
  logistic <- glmer(model ~ human + (1 + human | person), answers, binomial(), control = optimizer)
  counts <- glmer(cbind(model_count, 10 - model_count) ~ human + (1 + human | person), answers, binomial(),
                  control = optimizer)
  ratings <- lmer(model_z ~ human_z + (1 + human_z | person), answers)
  crossed <- glmer(human_of_item ~ model_of_item + (1 + model_of_item | person) + (1 | item), answers, binomial(),
                   control = optimizer)
  fits <- rbind(
    as_rows("logistic", logistic, "human", answers$model),
    as_rows("binomial", counts, "human", answers$model_count / 10),
    as_rows("gaussian", ratings, "human_z", answers$model_z),
    as_rows("crossed", crossed, "model_of_item", answers$human_of_item)
  )
  write.csv(fits, file.path(folder, "fits.csv"), row.names = FALSE)
}

main(commandArgs(trailingOnly = TRUE)[[1]])
