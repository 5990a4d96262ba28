mod bypass;
mod entry;
mod fixture;
mod plan;
mod rules;
mod verdicts;
