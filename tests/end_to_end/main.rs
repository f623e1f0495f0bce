//! End to end, by the public doors only: DICOM sockets, HTTP, the command line of the built program, and a browser.
//!
//! What a test needs and does not find (real data, a browser, the ONNX Runtime) it names on standard error and is skipped.
//! The CUDA kernels, which no public door leads to without a card, are compiled as C++ and asked by a program of their own.
//! The phantom of the simulated scanner is the patient wherever no real one is needed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod accounts;
mod archive;
mod daemon;
mod dicom;
mod http;
mod kernel_program;
mod peers;
mod pixels;
mod series;
mod stage;
mod webdriver;

mod abnormal;
mod access;
mod administration;
mod associations;
mod audit;
mod backup;
mod bad_input;
mod command_line;
mod completion;
mod console;
mod console_pictures;
mod corrected;
mod database;
mod durability;
mod engines;
mod enhanced;
mod events;
mod fatbin;
mod gpu;
mod interface;
mod kernels;
mod kiosk;
mod languages;
mod model;
mod notifications;
mod odd_objects;
mod openapi;
mod openid;
mod order_of_arrival;
mod outbox;
mod outcomes;
mod pictures;
mod procedure_step;
mod promotion;
mod proxy;
mod quality;
mod real_exams;
mod refused;
mod report_objects;
mod rescan;
mod restart;
mod shadow;
mod slices;
mod sound;
mod support_bundle;
mod synthetic_patient;
mod table;
mod table_looks;
mod tls;
mod transfer_syntaxes;
mod use_errors;
mod validation;
mod viewer;
