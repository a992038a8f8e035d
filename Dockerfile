# The image of a step on Kubeflow Pipelines: kale_pm.runtime, what it needs, and KFP's executor.
# There is no Jupyter server in it.
#
# Build it from the root of the repository, and give it the packages of your notebook, either by
# a base image that has them or by a Dockerfile of your own on top. Its Python should be of the
# version that you compile with, 3.11 or newer: objects travel from the one to the other.
#
#     docker build -t NAME .
#     docker build -t NAME --build-arg BASE_IMAGE=IMAGE-WITH-YOUR-PACKAGES .
#
# Then nothing is installed when a step starts:
#
#     kale-pm compile notebook.ipynb --image NAME --no-install

ARG BASE_IMAGE=python:3.11-slim
FROM ${BASE_IMAGE}

USER root

RUN pip install --no-cache-dir \
        "cloudpickle>=3.0" \
        "dill>=0.3.8" \
        "ipykernel>=6.29" \
        "nbclient>=0.10" \
        "nbconvert>=7.16" \
        "papermill>=2.6" \
        "xxhash>=3.1"

# Without their dependencies: KFP's compiler and our command line are of no use in a pod.
COPY . /tmp/kale-pm
RUN pip install --no-cache-dir --no-deps "kfp>=2.17,<3" /tmp/kale-pm && rm -r /tmp/kale-pm

# A cluster may give a pod a user id of its own choice, which still needs a home to write in.
RUN mkdir --parents /home/kale && chmod 777 /home/kale
ENV HOME=/home/kale
WORKDIR /home/kale

# By number, because runAsNonRoot can check no name.
USER 1000
